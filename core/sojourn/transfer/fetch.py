"""Carries a plan out: fetches what is missing in pieces, verifies each before it is written, reads back what arrived.

Pieces are taken in any order, and none is lost to an interruption: a directory keeps partial files, and in other
stores pieces are objects until their file is whole (parts.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby

from blake3 import blake3

from sojourn.checkpoint.files import read_verified
from sojourn.errors import CorruptData
from sojourn.store.base import Buffer, Partial, PartialStore, Store, StoreFull
from sojourn.transfer.bases import Bases
from sojourn.transfer.chunks import Chunks
from sojourn.transfer.parts import Parts
from sojourn.transfer.pieces import Piece, pieces
from sojourn.transfer.plan import FileCopy, TransferPlan
from sojourn.transfer.pool import Pool
from sojourn.transfer.reader import Reader

_FILES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """Bytes dealt with (copied, or found and verified) of all that there are, and the file at work."""

    file: str
    done: int
    total: int


OnProgress = Callable[[TransferProgress], None]


def silent(progress: TransferProgress) -> None:
    """Shows nothing."""


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told how far it is: `copying` while bytes are dealt with, `checking` as files are read back."""

    copying: OnProgress = silent
    checking: OnProgress = silent


NOBODY = Watchers()


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What it took.

    Args:
        copied_files: files that were not there as a whole.
        copied_bytes: bytes that the source sent; of a coded chunk those that it took.
        reused_bytes: bytes that were in the target already, and verified: in place, or in another file.
        total_bytes: bytes of the state in all.
    """

    copied_files: int
    copied_bytes: int
    reused_bytes: int
    total_bytes: int


def execute(
    source: Reader,
    target: Store,
    plan: TransferPlan,
    written_last: dict[str, bytes],
    watchers: Watchers,
    streams: int = 1,
    bases: Bases | None = None,
) -> CopyReport:
    """Carry out a plan: verify what is there, copy what is missing, read it back, and write manifests at the end.

    Args:
        streams: how many pieces are fetched at once.
        bases: what the target has beside the plan's files, to which those are added; None where the source is nearer
            than the target.

    Raises:
        CorruptData: the source's bytes, or what the target gives back, do not match their digests.
        StoreError: a store failed, or the target has no room; asked again it goes on.
    """
    meter = _Meter(plan.total_bytes, watchers.copying)
    damaged = [item for item in plan.present if not _is_intact(target, item, meter)]
    missing = [*plan.missing, *damaged]
    needed = sum(item.file.size for item in missing)
    for item in plan.present:
        _add(bases, item)
    with _Crew(source, target, bases, plan.scratch, streams) as crew:
        crew.bring(missing, needed, meter, _Meter(needed, watchers.checking))
    for key, data in written_last.items():
        target.put(key, data)
    reused = plan.total_bytes - needed + crew.tally.reused
    return CopyReport(len(missing), crew.tally.sent, reused, plan.total_bytes)


class _Meter:
    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._total, self._on_progress = total, on_progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, file: str, count: int) -> None:
        with self._lock:
            self._done += count
            self._on_progress(TransferProgress(file, self._done, self._total))


class _Tally:
    """Bytes that the source sent, and bytes that were in the target already."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent = self.reused = 0

    def add(self, length: int, sent: int | None) -> None:
        with self._lock:
            self.sent += sent or 0
            self.reused += length if sent is None else 0


class _Crew:
    """Threads that fetch pieces, and others that put files together from them."""

    def __init__(self, source: Reader, target: Store, bases: Bases | None, scratch: str, streams: int) -> None:
        self._target, self._bases, self._scratch = target, bases, scratch
        self._chunks = Chunks(source, bases or Bases(target))
        self.tally = _Tally()
        self._stack = ExitStack()
        self._pieces = self._stack.enter_context(Pool(streams))
        self._files = self._stack.enter_context(Pool(min(streams, _FILES_AT_ONCE)))

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def bring(self, items: Sequence[FileCopy], needed: int, meter: _Meter, checked: _Meter) -> None:
        """Fetch files, folder by folder: what a checkpoint shares with the one before it is there by then.

        Each is read back when it is whole, while others are under way: the fence that may follow gives up the only
        other copy that counts.
        """
        if isinstance(self._target, PartialStore):
            there = sum(self._target.partial_bytes(_key(item), _token(item)) for item in items)
            _check_room(self._target, needed - there)
            for _, folder in groupby(items, key=lambda item: item.target):
                self._bring(self._target, list(folder), meter, checked)
            return
        _check_room(self._target, needed)
        parts = Parts(self._target, self._scratch)
        for _, folder in groupby(items, key=lambda item: item.target):
            self._bring(parts, list(folder), meter, checked)
        parts.clear()

    def _bring(self, store: PartialStore, items: Sequence[FileCopy], meter: _Meter, checked: _Meter) -> None:
        def bring(item: FileCopy) -> None:
            # A file of one piece needs no partial object where that would be one object more to write.
            if len(item.file.chunks) <= 1 and isinstance(store, Parts):
                self._put(item, meter)
            else:
                self._patch(store, item, meter)
            _read_back(self._target, item, checked)

        self._files.run(bring, items)
        for item in items:
            _add(self._bases, item)

    def _put(self, item: FileCopy, meter: _Meter) -> None:
        data = b"".join(self._get(item, piece) for piece in pieces(item.file, item.chunk_bytes))
        self._target.put(_key(item), data)
        meter.add(_key(item), len(data))

    def _patch(self, store: PartialStore, item: FileCopy, meter: _Meter) -> None:
        key = _key(item)
        with store.open_partial(key, item.file.size, _token(item)) as partial:

            def bring(piece: Piece) -> None:
                if self._find(partial, piece):
                    self.tally.add(piece.length, None)
                else:
                    partial.write(piece.offset, self._get(item, piece))
                meter.add(key, piece.length)

            self._pieces.run(bring, pieces(item.file, item.chunk_bytes))
            partial.finish()

    def _get(self, item: FileCopy, piece: Piece) -> Buffer:
        got = self._chunks.get(item, piece)
        self.tally.add(piece.length, got.sent)
        return got.data

    def _find(self, partial: Partial, piece: Piece) -> bool:
        """Whether an interrupted transfer brought this piece."""
        return piece.holds(partial.read(piece.offset, piece.length))


def _add(bases: Bases | None, item: FileCopy) -> None:
    if bases:
        bases.add(item.target, item.file, item.chunk_bytes, shared=True)


def _key(item: FileCopy) -> str:
    return f"{item.target}/{item.file.name}"


def _token(item: FileCopy) -> str:
    return blake3(f"{_key(item)}\n{item.file.digest}".encode()).hexdigest()[:32]


def _is_intact(target: Store, item: FileCopy, meter: _Meter) -> bool:
    try:
        for _ in read_verified(target, item.target, item.file, item.chunk_bytes):
            pass
    except CorruptData:
        return False
    meter.add(_key(item), item.file.size)
    return True


def _read_back(target: Store, item: FileCopy, meter: _Meter) -> None:
    for data in read_verified(target, item.target, item.file, item.chunk_bytes):
        meter.add(_key(item), len(data))


def _check_room(target: Store, needed: int) -> None:
    free = target.free_bytes()
    if free is not None and free < needed:
        raise StoreFull(
            f"{target.uri} has {free:,} bytes free, and {needed:,} are to be copied",
            hint="Make room there; what was copied already is kept for the next try.",
        )
