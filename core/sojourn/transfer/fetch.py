"""Carries a plan out: fetches what is missing in pieces, verifies each before it is written, reads back what arrived.

Pieces are taken in any order, and none is lost to an interruption: a directory keeps partial files, and in other
stores pieces are objects until their file is whole (parts.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from blake3 import blake3

from sojourn.checkpoint.files import read_verified
from sojourn.errors import CorruptData
from sojourn.store.base import Buffer, Partial, PartialStore, Store, StoreFull
from sojourn.transfer.parts import Parts
from sojourn.transfer.pieces import Piece, pieces
from sojourn.transfer.plan import FileCopy, TransferPlan
from sojourn.transfer.pool import Pool

_TRIES = 3
_FILES_AT_ONCE = 4


class Reader(Protocol):
    """Gives the source's bytes: its store itself, or the other end of a connection."""

    def read(self, key: str, offset: int, length: int) -> Buffer:
        """Bytes of the file at `key` in the source's store; fewer where it ends early."""
        ...


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
    """Who is told how far it is: `copying` while bytes are dealt with, `checking` while they are read back."""

    copying: OnProgress = silent
    checking: OnProgress = silent


NOBODY = Watchers()


@dataclass(frozen=True, slots=True)
class CopyReport:
    """Files and bytes that were sent, and bytes that were there and verified."""

    copied_files: int
    copied_bytes: int
    reused_bytes: int


def execute(
    source: Reader,
    target: Store,
    plan: TransferPlan,
    written_last: dict[str, bytes],
    watchers: Watchers,
    streams: int = 1,
) -> CopyReport:
    """Carry out a plan: verify what is there, copy what is missing, read it back, and write manifests at the end.

    Args:
        streams: how many pieces are fetched at once.

    Raises:
        CorruptData: the source's bytes, or what the target gives back, do not match their digests.
        StoreError: a store failed, or the target has no room; asked again it goes on.
    """
    meter = _Meter(plan.total_bytes, watchers.copying)
    damaged = [item for item in plan.present if not _is_intact(target, item, meter)]
    missing = [*plan.missing, *damaged]
    needed = sum(item.file.size for item in missing)
    with _Crew(source, target, plan.scratch, streams) as crew:
        reused = crew.bring(missing, needed, meter)
    checked = _Meter(needed, watchers.checking)
    with Pool(min(streams, _FILES_AT_ONCE)) as pool:
        # What arrived is read back: the fence that may follow gives up the only other copy that counts.
        pool.run(lambda item: _read_back(target, item, checked), missing)
    for key, data in written_last.items():
        target.put(key, data)
    return CopyReport(len(missing), needed - reused, plan.total_bytes - needed + reused)


class _Meter:
    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._total, self._on_progress = total, on_progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, file: str, count: int) -> None:
        with self._lock:
            self._done += count
            self._on_progress(TransferProgress(file, self._done, self._total))


class _Crew:
    """Threads that fetch pieces, and others that put files together from them."""

    def __init__(self, source: Reader, target: Store, scratch: str, streams: int) -> None:
        self._source, self._target, self._scratch = source, target, scratch
        self._stack = ExitStack()
        self._pieces = self._stack.enter_context(Pool(streams))
        self._files = self._stack.enter_context(Pool(min(streams, _FILES_AT_ONCE)))

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def bring(self, items: Sequence[FileCopy], needed: int, meter: _Meter) -> int:
        """Fetch files; returns the bytes that an interrupted transfer had brought already."""
        if isinstance(self._target, PartialStore):
            return self._bring(self._target, items, needed, meter)
        parts = Parts(self._target, self._scratch)
        large = [item for item in items if len(item.file.chunks) > 1]
        reused = self._bring(parts, large, needed, meter)
        self._files.run(lambda item: self._put(item, meter), [item for item in items if len(item.file.chunks) <= 1])
        parts.clear()
        return reused

    def _bring(self, store: PartialStore, items: Sequence[FileCopy], needed: int, meter: _Meter) -> int:
        _check_room(self._target, needed - sum(store.partial_bytes(_key(item), _token(item)) for item in items))
        return sum(self._files.ordered(lambda item: self._patch(store, item, meter), items))

    def _put(self, item: FileCopy, meter: _Meter) -> None:
        """Bring a file of one piece, or an empty one: nothing of it is worth keeping when it is broken off."""
        data = b"".join(self._fetch(item, piece) for piece in pieces(item.file, item.chunk_bytes))
        self._target.put(_key(item), data)
        meter.add(_key(item), len(data))

    def _patch(self, store: PartialStore, item: FileCopy, meter: _Meter) -> int:
        key = _key(item)
        with store.open_partial(key, item.file.size, _token(item)) as partial:

            def bring(piece: Piece) -> int:
                found = self._find(partial, piece)
                if not found:
                    partial.write(piece.offset, self._fetch(item, piece))
                meter.add(key, piece.length)
                return piece.length if found else 0

            there = sum(self._pieces.ordered(bring, pieces(item.file, item.chunk_bytes)))
            partial.finish()
        return there

    def _find(self, partial: Partial, piece: Piece) -> bool:
        """Whether an interrupted transfer brought this piece."""
        return piece.holds(partial.read(piece.offset, piece.length))

    def _fetch(self, item: FileCopy, piece: Piece) -> Buffer:
        key = f"{item.source}/{item.file.name}"
        for _ in range(_TRIES):
            data = self._source.read(key, piece.offset, piece.length)
            if piece.holds(data):
                return data
        if len(data) < piece.length:
            raise CorruptData(f"{key} ends after {piece.offset + len(data)} of {item.file.size} bytes")
        raise CorruptData(
            f"{key}, chunk {piece.number}: the source's bytes do not match the digest in the manifest",
            hint="The source's copy is damaged: `sojourn verify` names all that is. Transfer another checkpoint.",
        )


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
