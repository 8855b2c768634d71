"""Which chunks must be read for which tensors, and where their bytes go. Pure: a manifest and names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from sojourn.checkpoint import dtypes
from sojourn.checkpoint.bundle import TensorEntry
from sojourn.checkpoint.manifest import Manifest
from sojourn.errors import CorruptData


@dataclass(frozen=True, slots=True)
class Piece:
    """`length` bytes of a chunk from its byte `start` on, which are a tensor's bytes from `at` on."""

    tensor: str
    at: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class ChunkRead:
    """One chunk of data file number `file`: bytes [offset, offset + length), and what is wanted of them."""

    file: int
    number: int
    offset: int
    length: int
    pieces: tuple[Piece, ...]

    @property
    def only(self) -> Piece | None:
        """The piece that is the whole chunk: it can be read where it belongs."""
        first = self.pieces[0]
        return first if first.length == self.length else None


def plan_reads(manifest: Manifest, entries: Iterable[TensorEntry]) -> list[ChunkRead]:
    """Each chunk that holds a part of a wanted tensor once, in the order of the files.

    Raises:
        CorruptData: a tensor's length is not that of its type and shape.
    """
    size = manifest.chunk_bytes
    wanted: dict[tuple[int, int], list[Piece]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.shard, entry.offset)):
        check_length(entry, manifest.checkpoint)
        at = 0
        while at < entry.length:
            number, start = divmod(entry.offset + at, size)
            length = min(entry.length - at, size - start)
            wanted.setdefault((entry.shard, number), []).append(Piece(entry.name, at, start, length))
            at += length
    return [
        ChunkRead(shard, number, number * size, min(size, manifest.files[shard].size - number * size), tuple(pieces))
        for (shard, number), pieces in wanted.items()
    ]


def check_length(entry: TensorEntry, checkpoint: str) -> None:
    """Raise CorruptData if the entry's bytes do not make its shape."""
    expected = prod(entry.shape) * dtypes.by_name(entry.dtype).numpy.itemsize
    if entry.length != expected:
        raise CorruptData(
            f"the manifest of {checkpoint} gives tensor {entry.name!r} {entry.length} bytes; "
            f"{entry.dtype} {list(entry.shape)} takes {expected}"
        )
