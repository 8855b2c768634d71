"""Partial objects in a store that keeps none: each piece is an object of its own until the file is put together.

A broken transfer finds the pieces again. The price is that the target's store takes such a file twice and gives it
once, which is near it and costs the link to the source nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sojourn.checkpoint.sweep import delete_folder
from sojourn.store.base import Buffer, Partial, Store
from sojourn.transfer.pool import Pool

_AHEAD = 2


class Parts:
    """A PartialStore made of a Store.

    Args:
        store: where objects are to be.
        folder: where pieces lie meanwhile; nothing else does.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self._found: dict[str, dict[int, int]] = {}
        for info in store.list(folder):
            token, _, offset = info.key.removeprefix(f"{folder}/").partition("/")
            self._found.setdefault(token, {})[int(offset)] = info.size

    @contextmanager
    def open_partial(self, key: str, size: int, token: str) -> Iterator[Partial]:
        """See PartialStore."""
        yield _PartialObject(self._store, key, f"{self._folder}/{token}", self._found.get(token, {}), {})

    def partial_bytes(self, key: str, token: str) -> int:
        """See PartialStore; as of the time when this was made."""
        return sum(self._found.get(token, {}).values())

    def clear(self) -> None:
        """Delete all pieces, those too whose file was finished by a process that was killed just then."""
        delete_folder(self._store, self._folder)


@dataclass(frozen=True, slots=True)
class _PartialObject:
    """`found` has the size of each piece that was there by its offset, `written` of each that came since."""

    store: Store
    key: str
    folder: str
    found: Mapping[int, int]
    written: dict[int, int]

    def read(self, offset: int, length: int) -> bytes:
        return self.store.read(self._piece(offset)) if self.found.get(offset) == length else b""

    def write(self, offset: int, data: Buffer) -> None:
        self.store.put(self._piece(offset), data)
        self.written[offset] = len(data)

    def finish(self) -> None:
        offsets = sorted({**self.found, **self.written})
        with self.store.open_writer(self.key) as out, Pool(min(_AHEAD, self.store.concurrency)) as pool:
            for data in pool.ordered(lambda offset: self.store.read(self._piece(offset)), offsets, _AHEAD):
                out.write(data)
        for offset in offsets:
            self.store.delete(self._piece(offset))

    def _piece(self, offset: int) -> str:
        return f"{self.folder}/{offset:020d}"
