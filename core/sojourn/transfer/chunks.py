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
from sojourn.transfer.reader import Asked, Reader, Remote, Want

log = logging.getLogger(__name__)

_TRIES = 3
_SMALL = 64 << 10


@dataclass(frozen=True, slots=True)
class Got:
    """A chunk, and how many bytes the source sent for it; None if it was in the target already."""

    data: Buffer
    sent: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chunk that was asked for, or is at hand.

    `take` gives it, verified, or raises CorruptData as `Chunks` says. It calls its argument when to ask for the next.
    """

    take: Callable[[Callable[[], None]], Got]
    asked: Asked | None = None

    def drop(self) -> None:
        """It is not wanted any more."""
        if self.asked:
            self.asked.drop()


@dataclass(frozen=True, slots=True)
class _Order:
    """How a chunk was asked for."""

    asked: Asked
    soon: Callable[[], None]
    way: Way
    base: Buffer | None


class Chunks:
    """Gets chunks; CorruptData if the source's bytes are not those of the manifest. Threads may share it.

    Args:
        bases: what the target has.
        clock: seconds, to measure what each way takes.
    """

    def __init__(self, source: Reader, bases: Bases, clock: Callable[[], float] = time.perf_counter) -> None:
        self._source, self._bases, self._clock = source, bases, clock
        self._chooser = Chooser()

    def begin(self, item: FileCopy, piece: Piece) -> Wanted:
        """Ask for a chunk, if the source is one that can be asked ahead. In one thread, take them in the same order."""
        same = self._bases.same(piece)
        data: Buffer | None = self._bases.read(same) if same else None
        if data is not None:
            return Wanted(lambda soon: Got(data, None))
        if not isinstance(self._source, Remote):
            return Wanted(lambda soon: self._plain(item, piece))
        way: Way = "plain"
        older: Spot | None = None
        if piece.length >= _SMALL:
            older = self._bases.older(item.target, item.file.name, item.chunk_bytes, piece)
            way = self._chooser.choose("delta" if older else "alone")
        base = self._bases.read(older) if older and way == "delta" else None
        named = older.piece.digest if older and base else ""
        want = Want(_source_key(item), piece.offset, piece.length, coded=way != "plain", base=named)
        asked = self._source.ask(want)

        def take(soon: Callable[[], None]) -> Got:
            return self._take(_Order(asked, soon, way, base), item, piece) or self._plain(item, piece)

        return Wanted(take, asked)

    def _take(self, order: _Order, item: FileCopy, piece: Piece) -> Got | None:
        """The chunk as it was asked for; None if it has to be asked for plainly."""
        # What was asked before is there by now, so this is what this chunk adds.
        began = self._clock()
        given = order.asked.take(order.soon)
        data = given.data
        if given.coding:
            try:
                with PROCESSORS:
                    data = decode(given.data, order.base if given.coding == "delta" else None, piece.length)
            except CorruptData as error:
                log.warning(
                    "%s, chunk %d: %s; it is asked for as it is", _source_key(item), piece.number, error.message
                )
                return None
        # Whatever was made of it, the digest decides: an older chunk that rotted at the source shows here.
        right = given.digest == piece.digest if given.digest else piece.holds(data)
        if not right or len(data) != piece.length:
            return None
        if piece.length >= _SMALL:
            self._chooser.record(order.way, piece.length, self._clock() - began)
        return Got(data, len(given.data))

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
