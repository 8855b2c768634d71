"""What a store must be able to do: exclusive create, whole-or-nothing writes, range reads, listings.

Keys are relative POSIX paths ("local/digits-<uuid>/log/00000000000000000000.json").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sojourn.errors import NotFound, StoreError

Buffer = bytes | bytearray | memoryview


class KeyExists(StoreError):
    """An exclusive create found the key taken."""


class KeyMissing(NotFound):
    """No object has this key."""


class StoreFull(StoreError):
    """There is no room for what was to be written."""


class StoreDenied(StoreError):
    """The store is there, and does not let this user or these credentials do it: asking again changes nothing."""


class NoExclusiveCreate(StoreError):
    """The store cannot promise one winner per key, so it must not hold runs."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One listed object: its key within the store and its size in bytes."""

    key: str
    size: int


@runtime_checkable
class Writer(Protocol):
    """Receives an object's bytes in order. Nothing is visible under the key before the with-block ends well."""

    def write(self, data: Buffer) -> None: ...


class Partial(Protocol):
    """An object that is being put together in any order; nobody sees it under its key before `finish`.

    It outlives its writer: whoever opens it again finds what was written, which may be anything, so he verifies it.
    Two who write the same bytes do not disturb each other.
    """

    def read(self, offset: int, length: int) -> bytes:
        """What is there; b"" where surely nothing was written."""
        ...

    def write(self, offset: int, data: Buffer) -> None: ...

    def finish(self) -> None:
        """Make it the object, durably."""
        ...


@runtime_checkable
class PartialStore(Protocol):
    """A store that keeps partial objects, so that a broken transfer loses no byte that had arrived."""

    def open_partial(self, key: str, size: int, token: str) -> AbstractContextManager[Partial]:
        """The partial object of `size` bytes for `key`; `token` (letters and digits) tells one content from another."""
        ...

    def partial_bytes(self, key: str, token: str) -> int:
        """Room in bytes that the partial object takes already; 0 if there is none."""
        ...


@runtime_checkable
class DirectStore(Protocol):
    """A store that reads straight into the caller's memory, and can be told what will be asked for."""

    def read_into(self, key: str, offset: int, target: memoryview) -> int:
        """Fill `target` from byte `offset` on; returns how many bytes there were. Raises KeyMissing."""
        ...

    def expect(self, key: str, offset: int, length: int) -> None:
        """These bytes will be read soon. A hint: it neither waits nor raises."""
        ...


@runtime_checkable
class Store(Protocol):
    """Where runs live. Implementations: posix.py, objectstore.py, memory.py; one contract test holds all to this."""

    @property
    def uri(self) -> str:
        """Canonical address: file:///abs/path, s3://bucket/prefix, gs://, az://, memory://name."""
        ...

    @property
    def concurrency(self) -> int:
        """How many requests at once pay off: 1 where a request is a system call, more where it is a round trip."""
        ...

    def create(self, key: str, data: Buffer) -> None:
        """Write a new object exclusively and durably; on return it survives a power cut.

        Raises:
            KeyExists: somebody's object is there, durably (it may be this very call's, had its answer been lost).
            StoreError: anything else; the caller must read the key to learn what happened.
        """
        ...

    def put(self, key: str, data: Buffer) -> None:
        """Write an object whole and durably, replacing what was there."""
        ...

    def open_writer(self, key: str) -> AbstractContextManager[Writer]:
        """Stream a large object; durable and visible when the block ends, absent when it raises."""
        ...

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes [offset, offset + length) or to the end. Raises KeyMissing."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Raises KeyMissing."""
        ...

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Every object below the folder `prefix`, in key order, later than the key `start_after`."""
        ...

    def list_folders(self, prefix: str = "") -> Iterator[str]:
        """Names (not paths) of the folders directly below `prefix`, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; no error if it is already gone."""
        ...

    def free_bytes(self) -> int | None:
        """Free room in bytes, or None where the store has no such number."""
        ...
