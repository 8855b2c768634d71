"""What the target's store holds of this run already, from earlier rounds, copies and stays: chunk by chunk.

A chunk with the same digest is taken from there. One that changed is asked for as the difference from the chunk at its
place in a checkpoint that both sides have. Nothing here is trusted: each chunk is verified when it is read.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.files import FileSet, load_file_set, parse_file_set
from sojourn.checkpoint.manifest import MANIFEST_FILE
from sojourn.checkpoint.records import FileRecord
from sojourn.errors import NotFound, SojournError
from sojourn.runlog.runs import list_runs
from sojourn.store.base import Store
from sojourn.transfer.offer import Offer
from sojourn.transfer.pieces import Piece, pieces

log = logging.getLogger(__name__)

_MOST_CHECKPOINTS = 16


@dataclass(frozen=True, slots=True)
class Spot:
    """A chunk in the target's store: the file's key, and the piece of it."""

    key: str
    piece: Piece


@dataclass(frozen=True, slots=True)
class _Older:
    """A file of a checkpoint that both sides have; `step` is the checkpoint's."""

    key: str
    step: int
    chunk_bytes: int
    pieces: tuple[Piece, ...]


class Bases:
    """Chunks that are there, by digest and by place. Threads may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._spots: dict[str, Spot] = {}
        self._older: dict[str, list[_Older]] = {}

    def add(self, folder: str, file: FileRecord, chunk_bytes: int, *, shared: bool) -> None:
        """Remember a whole file of the target's store; `shared` if the source has its like, too."""
        key = f"{folder}/{file.name}"
        found = tuple(pieces(file, chunk_bytes))
        with self._lock:
            for piece in found:
                self._spots.setdefault(piece.digest, Spot(key, piece))
            if shared and file.chunks:
                self._older.setdefault(file.name, []).append(_Older(key, _step(folder), chunk_bytes, found))

    def add_all(self, files: FileSet, *, shared: bool) -> None:
        """Remember a folder."""
        for file in files.files:
            self.add(files.folder, file, files.chunk_bytes, shared=shared)

    def same(self, piece: Piece) -> Spot | None:
        """Where a chunk with that digest is."""
        with self._lock:
            return self._spots.get(piece.digest)

    def older(self, folder: str, name: str, chunk_bytes: int, piece: Piece) -> Spot | None:
        """The chunk at the same place of the same file in the checkpoint whose step is nearest."""
        step = _step(folder)
        with self._lock:
            fitting = [
                file
                for file in self._older.get(name, ())
                if file.chunk_bytes == chunk_bytes
                and piece.number < len(file.pieces)
                and file.pieces[piece.number].length == piece.length
            ]
        if not fitting:
            return None
        nearest = min(fitting, key=lambda file: abs(file.step - step))
        return Spot(nearest.key, nearest.pieces[piece.number])

    def read(self, spot: Spot) -> bytes | None:
        """A chunk's bytes, verified; None if it is not there any more, or damaged."""
        try:
            data = self._store.read(spot.key, spot.piece.offset, spot.piece.length)
        except NotFound:
            return None
        return data if spot.piece.holds(data) else None


def find_bases(store: Store, offer: Offer, prefix: str) -> Bases:
    """What is there of the offered run and its relatives: earlier rounds below `prefix`, and runs of the same name."""
    bases = Bases(store)
    known = {commit.manifest for commit in offer.origin.state.commits}
    found = {**_rounds(store, prefix), **_relatives(store, offer.origin.state.name)}
    for files in found.values():
        bases.add_all(files, shared=digest(files.manifest) in known)
    return bases


def _rounds(store: Store, prefix: str) -> dict[str, FileSet]:
    found = {}
    for info in store.list(f"{prefix}/data"):
        folder, _, name = info.key.rpartition("/")
        if name == MANIFEST_FILE:
            try:
                data = store.read(info.key)
                found[folder] = parse_file_set(folder, data, digest(data))
            except SojournError as error:
                log.info("%s is no base for differences: %s", folder, error)
    return found


def _relatives(store: Store, name: str) -> dict[str, FileSet]:
    commits = [(commit, run.prefix) for run in list_runs(store, name=name) if run.state for commit in run.state.commits]
    found = {}
    # Of many checkpoints the newest are the likeliest to have something in common.
    for commit, run in sorted(commits, key=lambda item: item[0].step)[-_MOST_CHECKPOINTS:]:
        folder = commit.location(run)
        try:
            found[folder] = load_file_set(store, folder, commit.manifest)
        except SojournError as error:
            log.info("%s is no base for differences: %s", folder, error)
    return found


def _step(folder: str) -> int:
    """The step in the name of a checkpoint's folder; 0 for other folders."""
    step = folder.rpartition("/")[2].partition("-")[0]
    return int(step) if step.isascii() and step.isdecimal() else 0
