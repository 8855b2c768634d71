"""Finds out whether a store can hold runs, by doing to it what runs do."""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Mapping
from typing import Any

from sojourn.errors import InvalidInput, SojournError, StoreError
from sojourn.mover.result import leave
from sojourn.store.base import NoExclusiveCreate, Store, StoreDenied, StoreFull
from sojourn.store.environment import store_from_environment
from sojourn.store.identity import store_id
from sojourn.store.probe import probe_exclusive_create

_BYTES = 1 << 20
_READ_ONLY = {errno.EROFS: "ReadOnly", errno.EPERM: "NoExclusiveCreate"}


def probe(environment: Mapping[str, str]) -> int:
    """Leave {ready, reason, message, hint, uri, storeId, freeBytes, seconds}; 0 whatever was found."""
    began = time.monotonic()
    result: dict[str, Any] = {"uri": environment.get("SOJOURN_STORE_URI", "")}
    try:
        store = store_from_environment(environment)
        result |= {"uri": result["uri"] or store.uri, **examine(store)}
        result |= {"ready": True, "reason": "Probed", "message": "the store can hold runs"}
    except SojournError as error:
        result |= {"ready": False, "reason": _reason(error), "message": error.message, "hint": error.hint}
    leave(environment, result | {"seconds": round(time.monotonic() - began, 3)})
    return 0


def examine(store: Store) -> dict[str, Any]:
    """Race two writers, write and read a megabyte; the store's id and free room.

    Raises:
        NoExclusiveCreate: it must not hold runs.
        StoreError: it cannot be reached, written or read.
    """
    probe_exclusive_create(store)
    key, data = f".probe-{uuid.uuid4().hex}/data", uuid.uuid4().bytes * (_BYTES // 16)
    try:
        with store.open_writer(key) as out:
            out.write(data)
        if store.read(key) != data or store.stat(key).size != len(data):
            raise StoreError(f"{store.uri} gave back other bytes than were written", hint="Do not trust this store.")
    finally:
        store.delete(key)
    return {"storeId": store_id(store), "freeBytes": store.free_bytes()}


def _reason(error: SojournError) -> str:
    if isinstance(error, NoExclusiveCreate):
        return "NoExclusiveCreate"
    if isinstance(error, InvalidInput):
        return "Invalid"
    if isinstance(error, StoreFull):
        return "StoreFull"
    if isinstance(error, StoreDenied):
        return "PermissionDenied"
    number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
    return _READ_ONLY.get(number or 0, "Unreachable")
