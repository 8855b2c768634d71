"""The parts of a file that are fetched and verified on their own (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.records import FileRecord
from sojourn.store.base import Buffer


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes [offset, offset + length) of a file and their digest; `number` counts from 0."""

    number: int
    offset: int
    length: int
    digest: str

    def holds(self, data: Buffer) -> bool:
        """Whether `data` is this piece."""
        return len(data) == self.length and digest(data) == self.digest


def pieces(file: FileRecord, chunk_bytes: int) -> Iterator[Piece]:
    """A file's chunks in order; one piece for a file whose manifest has no chunk digests; none for an empty file."""
    if not file.chunks and file.size:
        yield Piece(0, 0, file.size, file.digest)
        return
    for number, expected in enumerate(file.chunks):
        offset = number * chunk_bytes
        yield Piece(number, offset, min(chunk_bytes, file.size - offset), expected)
