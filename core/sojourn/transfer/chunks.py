"""Gets one chunk, verified: from the target's own store, coded, or plain, whichever costs least."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from sojourn.errors import CorruptData
from sojourn.store.base import Buffer
from sojourn.transfer.bases import Bases, Spot
from sojourn.transfer.chooser import Chooser, Way
from sojourn.transfer.codec import decode
from sojourn.transfer.coder import PROCESSORS
from sojourn.transfer.pieces import Piece
from sojourn.transfer.plan import FileCopy
from sojourn.transfer.reader import CodedReader, Reader

log = logging.getLogger(__name__)

_TRIES = 3
_SMALL = 64 << 10


@dataclass(frozen=True, slots=True)
class Got:
    """A chunk, and how many bytes the source sent for it; None if it was in the target already."""

    data: Buffer
    sent: int | None


class Chunks:
    """Gets chunks. Threads may share it.

    Args:
        bases: what the target has.
        clock: seconds, to measure what each way takes.
    """

    def __init__(self, source: Reader, bases: Bases, clock: Callable[[], float] = time.perf_counter) -> None:
        self._source, self._bases, self._clock = source, bases, clock
        self._chooser = Chooser()

    def get(self, item: FileCopy, piece: Piece) -> Got:
        """Raises CorruptData if the source's bytes are not those of the manifest."""
        same = self._bases.same(piece)
        data: Buffer | None = self._bases.read(same) if same else None
        if data is not None:
            return Got(data, None)
        return self._coded(item, piece) or self._plain(item, piece)

    def _coded(self, item: FileCopy, piece: Piece) -> Got | None:
        """The chunk, coded if that pays; None if it has to be asked for plainly."""
        if not isinstance(self._source, CodedReader) or piece.length < _SMALL:
            return None
        older = self._bases.older(item.target, item.file.name, item.chunk_bytes, piece)
        way = self._chooser.choose("delta" if older else "alone")
        began = self._clock()
        got = self._ask(self._source, item, piece, way, older)
        if got:
            self._chooser.record(way, piece.length, self._clock() - began)
        return got

    def _ask(self, source: CodedReader, item: FileCopy, piece: Piece, way: Way, older: Spot | None) -> Got | None:
        key = _source_key(item)
        base = self._bases.read(older) if older and way == "delta" else None
        if way == "plain":
            data = source.read(key, piece.offset, piece.length)
            return Got(data, len(data)) if piece.holds(data) else None
        given = source.read_coded(key, piece.offset, piece.length, older.piece.digest if older and base else "")
        data = given.data
        if given.coding:
            try:
                with PROCESSORS:
                    data = decode(given.data, base if given.coding == "delta" else None, piece.length)
            except CorruptData as error:
                log.warning("%s, chunk %d: %s; it is asked for as it is", key, piece.number, error.message)
                return None
        # Whatever was made of it, the digest decides: an older chunk that rotted at the source shows here.
        return Got(data, len(given.data)) if piece.holds(data) else None

    def _plain(self, item: FileCopy, piece: Piece) -> Got:
        key = _source_key(item)
        for _ in range(_TRIES):
            data = self._source.read(key, piece.offset, piece.length)
            if piece.holds(data):
                return Got(data, len(data))
        if len(data) < piece.length:
            raise CorruptData(f"{key} ends after {piece.offset + len(data)} of {item.file.size} bytes")
        raise CorruptData(
            f"{key}, chunk {piece.number}: the source's bytes do not match the digest in the manifest",
            hint="The source's copy is damaged: `sojourn verify` names all that is. Transfer another checkpoint.",
        )


def _source_key(item: FileCopy) -> str:
    return f"{item.source}/{item.file.name}"
