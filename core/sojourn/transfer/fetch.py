"""Carries a plan out: fetches what is missing in pieces, verifies each before it is written, puts files together.

Pieces are taken in any order, and none is lost to an interruption: a directory keeps partial files, and in other
stores pieces are objects until their file is whole (parts.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby

from blake3 import blake3

from sojourn.checkpoint.files import read_verified
from sojourn.errors import CorruptData
from sojourn.store.base import Partial, PartialStore, Store, StoreFull
from sojourn.transfer.bases import Bases
from sojourn.transfer.chunks import Chunks, Wanted
from sojourn.transfer.parts import Parts
from sojourn.transfer.pieces import Piece, pieces
from sojourn.transfer.plan import FileCopy, TransferPlan
from sojourn.transfer.pool import share
from sojourn.transfer.reader import Reader


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
    """Who is told how far it is: `copying` while bytes are dealt with, `checking` as files are whole."""

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
    """Carry out a plan: verify what is there, copy what is missing, and write manifests at the end.

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
    crew = _Crew(source, target, bases, plan.scratch, streams)
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


class _File:
    """A file that is being put together. Threads may share it."""

    def __init__(self, store: PartialStore, item: FileCopy) -> None:
        self.item = item
        self.pieces = list(pieces(item.file, item.chunk_bytes))
        self._store, self._left = store, len(self.pieces)
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._partial: Partial | None = None

    @property
    def partial(self) -> Partial:
        with self._lock:
            if self._partial is None:
                opened = self._store.open_partial(_key(self.item), self.item.file.size, _token(self.item))
                self._partial = self._stack.enter_context(opened)
            return self._partial

    def add(self) -> bool:
        """One piece more is written; whether that was the last."""
        with self._lock:
            self._left -= 1
            return self._left <= 0

    def close(self) -> None:
        self._stack.close()


class _Crew:
    """Brings pieces over, several at once, and files as their last piece arrives."""

    def __init__(self, source: Reader, target: Store, bases: Bases | None, scratch: str, streams: int) -> None:
        self._target, self._bases, self._scratch = target, bases, scratch
        self._chunks = Chunks(source, bases or Bases(target))
        self._streams = streams
        self.tally = _Tally()

    def bring(self, items: Sequence[FileCopy], needed: int, meter: _Meter, checked: _Meter) -> None:
        """Fetch files, folder by folder: what a checkpoint shares with the one before it is there by then.

        A store that takes an object in one go is read back, for what it made of the parts is its own affair. In a
        directory each verified piece went to its place in the file, and fsync says whether it is there: reading it
        again would show the memory that it was written from.
        """
        if isinstance(self._target, PartialStore):
            there = sum(self._target.partial_bytes(_key(item), _token(item)) for item in items)
            _check_room(self._target, needed - there)
            self._bring_all(self._target, items, meter, lambda item: checked.add(_key(item), item.file.size))
            return
        _check_room(self._target, needed)
        parts = Parts(self._target, self._scratch)
        self._bring_all(parts, items, meter, lambda item: _read_back(self._target, item, checked))
        parts.clear()

    def _bring_all(
        self, store: PartialStore, items: Sequence[FileCopy], meter: _Meter, finished: Callable[[FileCopy], None]
    ) -> None:
        for _, folder in groupby(items, key=lambda item: item.target):
            files = [_File(store, item) for item in folder]
            try:
                self._bring(files, meter, finished)
            finally:
                for file in files:
                    file.close()
            for file in files:
                _add(self._bases, file.item)

    def _bring(self, files: Sequence[_File], meter: _Meter, finished: Callable[[FileCopy], None]) -> None:
        """Whichever stream writes a file's last piece finishes it, while the others go on with the next files."""

        def finish(file: _File) -> None:
            if not self._is_small(file):
                file.partial.finish()
            file.close()
            finished(file.item)

        def land(at: _Ahead, soon: Callable[[], None]) -> None:
            file, piece = at.file, at.piece
            if at.wanted:
                got = at.wanted.take(soon)
                self.tally.add(piece.length, got.sent)
                if self._is_small(file):
                    self._target.put(_key(file.item), got.data)
                else:
                    file.partial.write(piece.offset, got.data)
            else:
                self.tally.add(piece.length, None)
            meter.add(_key(file.item), piece.length)
            if file.add():
                finish(file)

        def carry(share: Iterator[tuple[_File, Piece]]) -> None:
            ahead: _Ahead | None = None

            def ask() -> None:
                nonlocal ahead
                if ahead is None and (item := next(share, None)):
                    ahead = _Ahead(*item, self._begin(*item))

            try:
                ask()
                while ahead:
                    # Asked for just in time and no earlier: another stream may be free before.
                    at, ahead = ahead, None
                    land(at, ask)
                    ask()
            except BaseException:
                if ahead and ahead.wanted:
                    ahead.wanted.drop()
                raise

        for file in files:
            if not file.pieces:
                if self._is_small(file):
                    self._target.put(_key(file.item), b"")
                finish(file)
        share(carry, ((file, piece) for file in files for piece in file.pieces), self._streams)

    def _begin(self, file: _File, piece: Piece) -> Wanted | None:
        """Ask for a piece; None if an interrupted transfer brought it."""
        if not self._is_small(file) and piece.holds(file.partial.read(piece.offset, piece.length)):
            return None
        return self._chunks.begin(file.item, piece)

    def _is_small(self, file: _File) -> bool:
        """Whether it needs no partial object, where that would be one object more to write."""
        return len(file.pieces) <= 1 and not isinstance(self._target, PartialStore)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A piece that is under way; `wanted` is None if it is there already."""

    file: _File
    piece: Piece
    wanted: Wanted | None


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
