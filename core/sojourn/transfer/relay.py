"""A transfer through a store that both sides see: the source puts what it offers there, the target takes it.

Files lie under the digest of their content, so that the next round puts only what is new. The offer's key names its
own digest, and comes to the target through a channel that both trust.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.files import read_verified
from sojourn.checkpoint.records import FileRecord
from sojourn.checkpoint.sweep import delete_folder
from sojourn.errors import CorruptData
from sojourn.runlog.records import Recipient
from sojourn.store.base import KeyMissing, Store
from sojourn.transfer.errors import PeerFailed
from sojourn.transfer.offer import Offer
from sojourn.transfer.plan import FolderCopy
from sojourn.transfer.send import Origin
from sojourn.transfer.throttle import Throttle

_DONE = "done.json"


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
        wanted = {file.digest: (folder, file) for folder, file in _files(offer)}
        done, total = 0, sum(file.size for _, file in wanted.values())
        for folder, file in wanted.values():
            if not _exists(self._relay, self._blob(file), file.size):
                self._copy(folder, file)
            done += file.size
            watcher(done, total)
        self._relay.put(key, data)
        return key

    def is_done(self) -> bool:
        """Whether the target has said that it needs nothing more."""
        return _exists(self._relay, f"{self._folder}/{_DONE}")

    def clean_up(self) -> None:
        """Delete everything of this transfer from the relay."""
        delete_folder(self._relay, self._folder)

    def _copy(self, folder: FolderCopy, file: FileRecord) -> None:
        with self._relay.open_writer(self._blob(file)) as out:
            for data in read_verified(self._origin.store, folder.files.folder, file, folder.files.chunk_bytes):
                self._throttle.take(len(data))
                out.write(data)

    def _blob(self, file: FileRecord) -> str:
        return f"{self._folder}/files/{file.digest.removeprefix('blake3:')}"


class RelayedSource:
    """Reads what a RelaySender put; `key` is the offer's."""

    def __init__(self, relay: Store, key: str, throttle: Throttle) -> None:
        self._relay, self._key, self._throttle = relay, key, throttle
        self._folder = key.rpartition("/")[0]
        self._blobs: dict[str, str] = {}

    def offer(self) -> Offer:
        """The offer. Raises PeerFailed if it is gone, CorruptData if it is not the one that the key names."""
        data = self._read(self._key)
        if f"{digest(data).removeprefix('blake3:')}.json" != self._key.rpartition("/")[2]:
            raise CorruptData(f"{self._relay.uri}/{self._key} is not the offer that the source made")
        offer = Offer.from_bytes(data)
        self._blobs = {
            f"{folder.files.folder}/{file.name}": f"{self._folder}/files/{file.digest.removeprefix('blake3:')}"
            for folder, file in _files(offer)
        }
        return offer

    def read(self, key: str, offset: int, length: int) -> bytes:
        """Bytes of an offered file."""
        self._throttle.take(length)
        return self._read(self._blobs[key], offset, length)

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


def _files(offer: Offer) -> Iterator[tuple[FolderCopy, FileRecord]]:
    for folder in offer.folder_copies(""):
        for file in folder.files.files:
            yield folder, file


def _exists(store: Store, key: str, size: int | None = None) -> bool:
    try:
        return size in (None, store.stat(key).size)
    except KeyMissing:
        return False
