"""Reading a log: its newest snapshot and what came after, or all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sojourn.errors import CorruptData, NotFound
from sojourn.runlog import state as fold
from sojourn.runlog.codec import from_json, parse
from sojourn.runlog.entries import Entry, decode, digest_of, entry_key
from sojourn.runlog.head import find_head
from sojourn.runlog.records import Snapshot
from sojourn.runlog.state import RunState
from sojourn.store.base import KeyMissing, Store
from sojourn.store.parallel import exist_many, read_many

_BATCH = 64


def load(store: Store, prefix: str) -> RunState:
    """The state of the run at `prefix`, from its newest snapshot on. Raises NotFound, CorruptData."""
    head = find_head(lambda indices: exist_many(store, [entry_key(prefix, i) for i in indices]), store.concurrency)
    if head < 0:
        if next(store.list(f"{prefix}/log"), None):
            raise CorruptData(f"{store.uri}/{entry_key(prefix, 0)} is missing, though later entries exist")
        raise NotFound(f"there is no run at {store.uri}/{prefix}", hint="`sojourn runs` lists those of a store.")
    last = _one(store, prefix, head)
    base = head if isinstance(last.body, Snapshot) else last.snapshot
    since = [*_some(store, prefix, range(base, head)), last]
    state = from_base(store, prefix, since[0])
    for entry in since[1:]:
        state = fold.apply(state, entry)
    return state


def from_base(store: Store, prefix: str, entry: Entry) -> RunState:
    """The state after the created entry or a snapshot entry."""
    if not isinstance(entry.body, Snapshot):
        return fold.first(entry)
    return fold.apply(snapshot_state(store, prefix, entry.body), entry)


def newer(store: Store, prefix: str, state: RunState) -> RunState:
    """`state` and whatever was appended since."""
    batch = 1
    while True:
        start = state.head.index + 1
        keys = [entry_key(prefix, index) for index in range(start, start + batch)]
        for offset, data in enumerate(read_many(store, keys)):
            if data is None:
                return state
            state = fold.apply(state, decode(data, start + offset, f"{store.uri}/{keys[offset]}"))
        batch = min(_BATCH, batch * 4)


def entries(store: Store, prefix: str, start: int, stop: int) -> Iterator[Entry]:
    """Entries start to stop - 1, each checked against the digest of the one before. Raises CorruptData."""
    before: Entry | None = None
    for first in range(start, stop, _BATCH):
        for entry in _some(store, prefix, range(first, min(stop, first + _BATCH))):
            if before and entry.prev != before.digest:
                raise CorruptData(f"entry {entry.index} of {store.uri}/{prefix} does not follow entry {before.index}")
            yield entry
            before = entry


def snapshot_state(store: Store, prefix: str, snapshot: Snapshot) -> RunState:
    """The state that a snapshot entry holds or refers to. Raises CorruptData."""
    where = f"snapshot entry {snapshot.index} of {store.uri}/{prefix}"
    content = snapshot.state
    if content is None:
        try:
            data = store.read(f"{prefix}/{snapshot.key}")
        except KeyMissing as error:
            raise CorruptData(f"{store.uri}/{prefix}/{snapshot.key} is missing, though {where} names it") from error
        if digest_of(data) != snapshot.digest:
            raise CorruptData(f"{store.uri}/{prefix}/{snapshot.key} does not have the digest that {where} names")
    try:
        return from_json(RunState, parse(data) if content is None else content)
    except ValueError as error:
        raise CorruptData(f"{where} is not readable: {error}") from error


def _one(store: Store, prefix: str, index: int) -> Entry:
    return _some(store, prefix, [index])[0]


def _some(store: Store, prefix: str, indices: Sequence[int]) -> list[Entry]:
    keys = [entry_key(prefix, index) for index in indices]
    found = []
    for index, key, data in zip(indices, keys, read_many(store, keys), strict=True):
        if data is None:
            raise CorruptData(f"{store.uri}/{key} is missing, though later entries exist")
        found.append(decode(data, index, f"{store.uri}/{key}"))
    return found
