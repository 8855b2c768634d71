"""Ranges of objects put straight into memory that the caller has, where a store can do that."""

from __future__ import annotations

import os

from sojourn.store.base import DirectStore, Store

_THREADS_AT_MOST = 8


def fill(store: Store, key: str, offset: int, target: memoryview) -> int:
    """Read into `target` (writable, flat, unsigned bytes) from byte `offset` of the object on.

    Returns:
        How many bytes there were: fewer than the target's where the object ends before.

    Raises:
        KeyMissing: there is no such object.
        StoreError: the store cannot be read.
    """
    if isinstance(store, DirectStore):
        return store.read_into(key, offset, target)
    data = store.read(key, offset, len(target))
    target[: len(data)] = data
    return len(data)


def expect(store: Store, key: str, offset: int, length: int) -> None:
    """Tell a store what will be read soon; it may do nothing about it. Never fails: reading says what is wrong."""
    if isinstance(store, DirectStore):
        store.expect(key, offset, length)


def streams(store: Store) -> int:
    """How many ranges at once pay off: the store's requests, or one for each processor that verifies."""
    if store.concurrency > 1:
        return store.concurrency
    return min(_THREADS_AT_MOST, len(os.sched_getaffinity(0)))
