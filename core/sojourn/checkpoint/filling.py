"""Reads chunks of a checkpoint in parallel into memory that is there already, and verifies each as it comes.

Threads suffice: reading and hashing a chunk release the interpreter's lock. Each stream has at most one chunk of its
own, for chunks that hold several tensors or parts that are not wanted; a chunk within one tensor is read in place.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.manifest import Manifest
from sojourn.checkpoint.read_plan import ChunkRead
from sojourn.errors import CorruptData
from sojourn.store import ranges
from sojourn.store.base import KeyMissing, Store

# Enough to keep a disk busy while the streams verify, and little beside what a page cache holds.
_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a checkpoint's files are: its folder in a store, and the verified manifest."""

    store: Store
    folder: str
    manifest: Manifest

    def key(self, chunk: ChunkRead) -> str:
        return f"{self.folder}/{self.manifest.files[chunk.file].name}"


def fill_tensors(
    origin: Origin, chunks: Sequence[ChunkRead], targets: Mapping[str, memoryview], streams: int | None = None
) -> None:
    """Read the chunks; on return all targets hold verified bytes.

    Args:
        chunks: as `plan_reads` gives them.
        targets: for each tensor in the plan its memory: writable, flat, unsigned bytes.
        streams: how many chunks at once; by default what the store and the processors can use.

    Raises:
        CorruptData: names the file and chunk that is missing, short, or does not match its digest. What the targets
            hold then is of no use.
        StoreError: the store cannot be read.
    """
    count = min(ranges.streams(origin.store) if streams is None else streams, len(chunks))
    work = _Work(origin, chunks, targets)
    if count <= 1:
        work.run()
        return
    with ThreadPoolExecutor(count, thread_name_prefix="read-checkpoint") as pool:
        done = [pool.submit(work.run) for _ in range(count)]
    for one in done:
        one.result()


@dataclass
class _Work:
    """The chunks that are left, shared by the streams; the first failure ends them all."""

    origin: Origin
    chunks: Sequence[ChunkRead]
    targets: Mapping[str, memoryview]
    _next: int = 0
    _failed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        scratch = bytearray()
        while (index := self._take()) is not None:
            self._expect(index)
            try:
                scratch = self._read(self.chunks[index], scratch)
            except BaseException:
                self._failed = True
                raise

    def _take(self) -> int | None:
        with self._lock:
            if self._failed or self._next == len(self.chunks):
                return None
            self._next += 1
            return self._next - 1

    def _expect(self, index: int) -> None:
        soon = self.chunks[1 : _AHEAD + 1] if index == 0 else self.chunks[index + _AHEAD : index + _AHEAD + 1]
        for chunk in soon:
            ranges.expect(self.origin.store, self.origin.key(chunk), chunk.offset, chunk.length)

    def _read(self, chunk: ChunkRead, scratch: bytearray) -> bytearray:
        """Returns the memory for the next chunk that needs any."""
        only = chunk.only
        if only is not None:
            self._fill(chunk, self.targets[only.tensor][only.at : only.at + only.length])
            return scratch
        if len(scratch) < chunk.length:
            scratch = bytearray(chunk.length)
        data = memoryview(scratch)[: chunk.length]
        self._fill(chunk, data)
        for piece in chunk.pieces:
            self.targets[piece.tensor][piece.at : piece.at + piece.length] = data[
                piece.start : piece.start + piece.length
            ]
        return scratch

    def _fill(self, chunk: ChunkRead, target: memoryview) -> None:
        file = self.origin.manifest.files[chunk.file]
        where = (
            f"{self.origin.folder}/{file.name}, chunk {chunk.number} "
            f"(bytes {chunk.offset} to {chunk.offset + chunk.length - 1})"
        )
        try:
            found = ranges.fill(self.origin.store, self.origin.key(chunk), chunk.offset, target)
        except KeyMissing as error:
            raise CorruptData(f"{where}: the file is missing") from error
        if found != chunk.length:
            raise CorruptData(f"{where}: the file ends after {chunk.offset + found} of {file.size} bytes")
        if digest(target) != file.chunks[chunk.number]:
            raise CorruptData(f"{where}: the bytes do not match the manifest's digest")
