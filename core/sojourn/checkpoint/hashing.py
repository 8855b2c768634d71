"""Digests of many stretches of files at once: every core reads and hashes, and no byte is read twice.

A thread reads into one small buffer of its own, so that what it hashes is still in its core's cache.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from blake3 import blake3

from sojourn.errors import CorruptData, InvalidInput
from sojourn.store.base import Buffer, KeyMissing, Store
from sojourn.store.keys import check_key
from sojourn.store.oserrors import store_error
from sojourn.store.posix import PosixStore

_BUFFER = 1 << 20
_SHARED_BUFFER = 8 << 20
_REQUEST = 8 << 20

OnBytes = Callable[[int], None]
"""Called with the bytes that were just hashed, by one thread at a time."""


class Hash(Protocol):
    """What hashlib and blake3 have in common."""

    def update(self, data: Buffer, /) -> object: ...

    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, start + length) of the object `key`, and the hash to take of them.

    Where another hash is named as well, the bytes are still read only once; its digest comes behind the first one's.
    """

    key: str
    start: int
    length: int
    algorithm: str = "blake3"
    also: str = ""


def new_hash(algorithm: str, threads: int = 1) -> Hash:
    """A hash by the name that manifests and signatures give it. Raises InvalidInput for another one."""
    if algorithm == "blake3":
        return blake3(max_threads=threads)
    if algorithm in ("sha256", "blake2b"):
        return hashlib.new(algorithm)
    raise InvalidInput(f"{algorithm!r} is no hash that Sojourn takes", hint="It takes blake3, sha256 and blake2b.")


def digests(store: Store, spans: Sequence[Span], on_bytes: OnBytes) -> list[bytes | CorruptData]:
    """The digest of each span in turn, or why there is none: its object is missing or ends early.

    Raises:
        StoreError: the store cannot be read.
    """
    cores = len(os.sched_getaffinity(0))
    found: list[bytes | CorruptData] = [b""] * len(spans)
    turns = threading.local()
    lock = threading.Lock()

    def told(count: int) -> None:
        with lock:
            on_bytes(count)

    def take(number: int, threads: int = 1) -> None:
        if not hasattr(turns, "buffer"):
            turns.buffer = memoryview(bytearray(_BUFFER))
        buffer = turns.buffer if threads == 1 else memoryview(bytearray(_SHARED_BUFFER))
        found[number] = _digest(store, spans[number], buffer, threads, told)

    large, small = _divide(spans, cores)
    for number in large:
        take(number, cores)
    with ThreadPoolExecutor(max(1, min(len(small), max(cores, store.concurrency)))) as pool:
        # The list meets what a thread raised.
        list(pool.map(take, small))
    return found


def _divide(spans: Sequence[Span], cores: int) -> tuple[list[int], list[int]]:
    """Spans that all cores share, one after the other, and those that each core takes one of.

    A span that is more than a core's share of all would keep one core busy while the others are done. Only BLAKE3 can
    be shared.
    """
    share = sum(span.length for span in spans) / cores
    large = [
        number
        for number, span in enumerate(spans)
        if (span.algorithm, span.also) == ("blake3", "") and cores > 1 and span.length > max(share, 4 * _SHARED_BUFFER)
    ]
    alone = set(large)
    small = sorted((number for number in range(len(spans)) if number not in alone), key=lambda n: -spans[n].length)
    return large, small


def _digest(store: Store, span: Span, buffer: memoryview, threads: int, on_bytes: OnBytes) -> bytes | CorruptData:
    hashes = [new_hash(name, threads) for name in (span.algorithm, span.also) if name]
    end = span.start + span.length
    try:
        with _Object(store, span.key, buffer) as stored:
            at = span.start
            while at < end:
                part = stored.read(at, end - at)
                if not len(part):
                    return CorruptData(f"the file ends after {at} of {end} bytes")
                for taken in hashes:
                    taken.update(part)
                at += len(part)
                on_bytes(len(part))
    except KeyMissing:
        return CorruptData("the file is missing")
    return b"".join(taken.digest() for taken in hashes)


class _Object:
    """One object that is open for reading: a directory's file into the given buffer, any other in large requests."""

    def __init__(self, store: Store, key: str, buffer: memoryview) -> None:
        self._store, self._key, self._buffer = store, check_key(key), buffer
        self._path = store.root / key if isinstance(store, PosixStore) else None
        self._descriptor = -1

    def __enter__(self) -> _Object:
        if self._path is not None:
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise store_error(error, self._path, "read") from error
        return self

    def __exit__(self, *exc: object) -> None:
        if self._path is not None:
            os.close(self._descriptor)

    def read(self, start: int, length: int) -> Buffer:
        """Some of the next bytes; none at the end. They stay until the next call."""
        if self._path is None:
            return self._store.read(self._key, start, min(length, _REQUEST))
        try:
            return self._buffer[: os.preadv(self._descriptor, [self._buffer[:length]], start)]
        except OSError as error:
            raise store_error(error, self._path, "read") from error
