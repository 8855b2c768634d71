"""Finding out whether a store can hold runs, by doing to it what runs do."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from sojourn.errors import StoreError
from sojourn.store.base import KeyExists, KeyMissing, NoExclusiveCreate, Store

_HINT = (
    "Use a local disk, NFS (version 3 or newer), or an object store with conditional writes (Amazon S3, Google Cloud "
    "Storage, Azure, MinIO, Ceph, SeaweedFS); not SMB, a FUSE mount of an object store, or an old S3 clone."
)


def probe_exclusive_create(
    store: Store, *, rounds: int = 20, new_id: Callable[[], str] = lambda: uuid.uuid4().hex
) -> None:
    """Race two writers for one key after another, and clean up.

    Raises:
        NoExclusiveCreate: both won a key, or neither did, or the loser's bytes are there, or a second create of a
            key that is there was not refused.
        StoreError: the store cannot be reached or written.
    """
    folder = f".probe-{new_id()}"
    keys = [f"{folder}/{number:04}" for number in range(rounds)]
    try:
        for key in keys:
            _race(store, key)
    finally:
        for key in keys:
            store.delete(key)


def _race(store: Store, key: str) -> None:
    start = threading.Barrier(2)
    outcomes: dict[bytes, StoreError | None] = {}

    def write(me: bytes) -> None:
        start.wait()
        try:
            store.create(key, me)
        except StoreError as error:
            outcomes[me] = error
        else:
            outcomes[me] = None

    threads = [threading.Thread(target=write, args=(me,)) for me in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _judge(store, key, outcomes)
    try:
        store.create(key, b"late")
    except KeyExists:
        return
    raise NoExclusiveCreate(f"{store.uri} let a second writer replace an object that only one may create", hint=_HINT)


def _judge(store: Store, key: str, outcomes: dict[bytes, StoreError | None]) -> None:
    for error in outcomes.values():
        if error is not None and not isinstance(error, KeyExists):
            raise error
    winners = [me for me, error in outcomes.items() if error is None]
    try:
        found = store.read(key)
    except KeyMissing:
        found = b""
    # A lost answer can make the winner believe that he lost, never the loser that he won.
    if len(winners) > 1 or not found or (winners and winners != [found]):
        raise NoExclusiveCreate(
            f"{store.uri} does not promise one winner per key: of two writers {len(winners)} won, and "
            f"{found.decode(errors='replace') or 'nothing'!r} is there",
            hint=_HINT,
        )
