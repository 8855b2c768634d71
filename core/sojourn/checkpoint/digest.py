"""BLAKE3 digests as Sojourn writes them (`blake3:<hex>`), and of a stream of bytes chunk by chunk.

Chunks are what transfers skip and readers verify, so that a reader of a part checks only that part.
"""

from __future__ import annotations

from blake3 import blake3

from sojourn.store.base import Buffer

CHUNK_BYTES = 8 * 1024 * 1024


def digest(data: Buffer) -> str:
    return f"blake3:{blake3(data).hexdigest()}"


class ChunkDigests:
    """Digests of a stream: one for each chunk of `chunk_bytes` and one for the whole."""

    def __init__(self, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._chunk_bytes = chunk_bytes
        # Up to the end of the first chunk both digests are of the same bytes, so they are taken once.
        self._whole: blake3 | None = None
        self._chunk = blake3()
        self._room = chunk_bytes
        self._chunks: list[str] = []
        self.size = 0

    def update(self, data: memoryview) -> None:
        """Take the next bytes (a flat view of unsigned bytes)."""
        self.size += len(data)
        while len(data):
            part = data[: self._room]
            data = data[len(part) :]
            self._chunk.update(part)
            if self._whole is not None:
                self._whole.update(part)
            self._room -= len(part)
            if not self._room:
                self._close_chunk()

    def _close_chunk(self) -> None:
        if self._whole is None:
            self._whole = self._chunk.copy()
        self._chunks.append(f"blake3:{self._chunk.hexdigest()}")
        self._chunk = blake3()
        self._room = self._chunk_bytes

    def finish(self) -> tuple[str, tuple[str, ...]]:
        """(whole digest, chunk digests); an empty stream has no chunks."""
        if self._room < self._chunk_bytes:
            self._close_chunk()
        whole = self._whole or self._chunk
        return f"blake3:{whole.hexdigest()}", tuple(self._chunks)
