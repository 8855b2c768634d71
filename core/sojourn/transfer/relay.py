"""A transfer through a store that both sides see: the source puts what it offers there, the target takes it.

Chunks lie under the digests of their contents: the same chunk is put once, the next round puts only what is new, and
after an interruption at most those are put again that were under way. The offer's key names its own digest, and comes
to the target through a channel that both trust.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.sweep import delete_folder
from sojourn.errors import CorruptData
from sojourn.runlog.records import Recipient
from sojourn.store.base import KeyMissing, Store
from sojourn.transfer.errors import PeerFailed
from sojourn.transfer.offer import Offer
from sojourn.transfer.pieces import Piece, pieces
from sojourn.transfer.pool import Pool
from sojourn.transfer.send import Origin
from sojourn.transfer.throttle import Throttle

_DONE = "done.json"
_CHUNKS = "chunks"
_AT_ONCE = 4
_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Place:
    """A piece and the key of its file in the source's store."""

    key: str
    piece: Piece


class RelaySender:
    """Puts one transfer's offer and files below `folder` of the relay."""

    def __init__(self, origin: Origin, relay: Store, folder: str, throttle: Throttle) -> None:
        self._origin, self._relay, self._folder, self._throttle = origin, relay, folder, throttle

    @property
    def offered(self) -> Offer:
        """What was put last."""
        return self._origin.offer()

    def put(self, watcher: Callable[[int, int], None]) -> str:
        """Put what is offered now, as far as it is not there; return the offer's key.

        Args:
            watcher: told of the bytes that are there, and of all.

        Raises:
            CorruptData: the source is damaged.
            StoreError: one of the stores failed, or is full.
        """
        offer = self._origin.offer()
        data = offer.to_bytes()
        key = f"{self._folder}/{digest(data).removeprefix('blake3:')}.json"
        if _exists(self._relay, key):
            return key
        wanted = {place.piece.digest: place for place in _places(offer)}
        there = {info.key: info.size for info in self._relay.list(f"{self._folder}/{_CHUNKS}")}
        total = sum(place.piece.length for place in wanted.values())
        missing = [at for name, at in wanted.items() if there.get(_chunk(self._folder, name)) != at.piece.length]
        done = total - sum(place.piece.length for place in missing)
        with Pool(min(_AT_ONCE, self._relay.concurrency)) as pool:
            for count in pool.ordered(self._put, missing, _AT_ONCE):
                done += count
                watcher(done, total)
        watcher(done, total)
        self._relay.put(key, data)
        return key

    def is_done(self) -> bool:
        """Whether the target has said that it needs nothing more."""
        return _exists(self._relay, f"{self._folder}/{_DONE}")

    def clean_up(self) -> None:
        """Delete everything of this transfer from the relay."""
        delete_folder(self._relay, self._folder)

    def _put(self, place: _Place) -> int:
        piece = place.piece
        for _ in range(_TRIES):
            data = self._origin.store.read(place.key, piece.offset, piece.length)
            if piece.holds(data):
                self._throttle.take(len(data))
                self._relay.put(_chunk(self._folder, piece.digest), data)
                return len(data)
        raise CorruptData(f"{place.key}, chunk {piece.number}: the bytes do not match the manifest's digest")


class RelayedSource:
    """Reads what a RelaySender put; `key` is the offer's."""

    def __init__(self, relay: Store, key: str, throttle: Throttle) -> None:
        self._relay, self._key, self._throttle = relay, key, throttle
        self._folder = key.rpartition("/")[0]
        self._chunks: dict[tuple[str, int], str] = {}

    def offer(self) -> Offer:
        """The offer. Raises PeerFailed if it is gone, CorruptData if it is not the one that the key names."""
        data = self._read(self._key)
        if f"{digest(data).removeprefix('blake3:')}.json" != self._key.rpartition("/")[2]:
            raise CorruptData(f"{self._relay.uri}/{self._key} is not the offer that the source made")
        offer = Offer.from_bytes(data)
        self._chunks = {
            (place.key, place.piece.offset): _chunk(self._folder, place.piece.digest) for place in _places(offer)
        }
        return offer

    def read(self, key: str, offset: int, length: int) -> bytes:
        """One piece of an offered file."""
        self._throttle.take(length)
        return self._read(self._chunks[key, offset], 0, length)

    def done(self, child: Recipient) -> None:
        """Say that nothing more is needed."""
        self._relay.put(f"{self._folder}/{_DONE}", json.dumps({"runId": child.run_id}).encode())

    def close(self) -> None:
        """Nothing is open."""

    def _read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        try:
            return self._relay.read(key, offset, length)
        except KeyMissing as error:
            raise PeerFailed(
                f"{self._relay.uri}/{key} is not there", hint="Wait for the source's mover to put it there again."
            ) from error


def _places(offer: Offer) -> Iterator[_Place]:
    for folder in offer.folder_copies(""):
        for file in folder.files.files:
            for piece in pieces(file, folder.files.chunk_bytes):
                yield _Place(f"{folder.files.folder}/{file.name}", piece)


def _chunk(folder: str, name: str) -> str:
    return f"{folder}/{_CHUNKS}/{name.removeprefix('blake3:')}"


def _exists(store: Store, key: str) -> bool:
    try:
        store.stat(key)
    except KeyMissing:
        return False
    return True
