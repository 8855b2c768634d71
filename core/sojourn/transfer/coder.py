"""The source's side of coded chunks: it knows what a file's bytes mean, and finds the older chunk that is named."""

from __future__ import annotations

import os
import threading

from sojourn.checkpoint.bundle import TensorEntry
from sojourn.checkpoint.files import load_file_set
from sojourn.checkpoint.manifest import Manifest
from sojourn.errors import SojournError
from sojourn.store.base import Store
from sojourn.transfer.bases import Bases
from sojourn.transfer.codec import Run, encode
from sojourn.transfer.offer import Offer
from sojourn.transfer.pieces import Piece
from sojourn.transfer.reader import Given
from sojourn.transfer.runs import by_file, runs_of

# More at once than processors would only take memory: each takes about four times its chunk.
PROCESSORS = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))


class Coder:
    """Codes chunks of offered files."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._tensors: dict[str, list[TensorEntry]] = {}
        self._offer: Offer | None = None
        self._bases = Bases(store)
        self._indexed: set[str] = set()

    def offer(self, offer: Offer) -> None:
        """Learn what is offered now."""
        checkpoints = {commit.checkpoint for commit in offer.carry.commits}
        tensors: dict[str, list[TensorEntry]] = {}
        for folder in offer.folders:
            if folder.target in checkpoints:
                try:
                    manifest = Manifest.from_bytes(folder.manifest.encode(), source=folder.source)
                except SojournError:
                    # It lists files, which is enough to carry them: their bytes are coded as bytes.
                    continue
                names = [file.name for file in manifest.files]
                tensors |= {f"{folder.source}/{name}": of for name, of in by_file(manifest.tensors, names).items()}
        with self._lock:
            self._tensors, self._offer = tensors, offer

    def code(self, key: str, offset: int, data: bytes, base: str) -> Given:
        """The chunk at `offset` of an offered file, as small as it gets; `base` is an older one's digest, or ""."""
        with self._lock:
            tensors = self._tensors.get(key)
        runs = [Run(len(data), 1)] if tensors is None else runs_of(tensors, offset, offset + len(data))
        with PROCESSORS:
            older = self._find(base, len(data)) if base else None
            coded = encode(data, older, runs) if data else None
        if coded is None:
            return Given(data)
        return Given(coded, "delta" if older is not None else "alone")

    def _find(self, base: str, length: int) -> bytes | None:
        spot = self._bases.same(Piece(0, 0, length, base))
        if spot is None:
            self._index()
            spot = self._bases.same(Piece(0, 0, length, base))
        return self._bases.read(spot) if spot and spot.piece.length == length else None

    def _index(self) -> None:
        """Learn the chunks of the run's checkpoints that are not known yet."""
        with self._lock:
            origin = self._offer.origin if self._offer else None
            for commit in origin.state.commits if origin else ():
                if origin is None or commit.manifest in self._indexed:
                    continue
                self._indexed.add(commit.manifest)
                try:
                    files = load_file_set(self._store, commit.location(origin.prefix), commit.manifest)
                except SojournError:
                    # Retired meanwhile, or damaged: it is no base then.
                    continue
                self._bases.add_all(files, shared=True)
