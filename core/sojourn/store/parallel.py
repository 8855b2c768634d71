"""Many small requests at once, where a request is a round trip; one after the other where it is a system call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sojourn.store.base import KeyMissing, Store

T = TypeVar("T")


def read_many(store: Store, keys: Sequence[str]) -> list[bytes | None]:
    """Whole objects in the order of `keys`; None for a key that does not exist."""

    def read(key: str) -> bytes | None:
        try:
            return store.read(key)
        except KeyMissing:
            return None

    return _map(read, keys, store.concurrency)


def exist_many(store: Store, keys: Sequence[str]) -> list[bool]:
    """Whether each of `keys` exists."""

    def exists(key: str) -> bool:
        try:
            store.stat(key)
        except KeyMissing:
            return False
        return True

    return _map(exists, keys, store.concurrency)


def _map(function: Callable[[str], T], keys: Sequence[str], concurrency: int) -> list[T]:
    if concurrency == 1 or len(keys) < 2:
        return [function(key) for key in keys]
    with ThreadPoolExecutor(min(concurrency, len(keys))) as pool:
        return list(pool.map(function, keys))
