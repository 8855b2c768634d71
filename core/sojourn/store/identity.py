"""The id of a store, written in it: two clusters see by it that they share one."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable

from sojourn.errors import StoreError
from sojourn.store.base import KeyExists, KeyMissing, Store

KEY = ".sojourn-store.json"


def store_id(store: Store, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> str:
    """The store's id, which its first reader makes.

    Raises:
        StoreError: the store cannot be read or written, or holds another file under that name.
    """
    try:
        return _read(store)
    except KeyMissing:
        with contextlib.suppress(KeyExists):
            store.create(KEY, json.dumps({"storeId": new_id()}).encode())
        return _read(store)


def _read(store: Store) -> str:
    data = store.read(KEY)
    try:
        return str(json.loads(data)["storeId"])
    except (ValueError, LookupError, TypeError) as error:
        raise StoreError(
            f"{store.uri}/{KEY} does not hold a store's id",
            hint="Delete it if nobody uses the store; it is made again.",
        ) from error
