"""Checking a whole log from its first entry, as `sojourn verify` does."""

from __future__ import annotations

from dataclasses import dataclass

from sojourn.errors import CorruptData
from sojourn.runlog import reading
from sojourn.runlog import state as fold
from sojourn.runlog.codec import to_json
from sojourn.runlog.entries import Head, canonical, digest_of
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Snapshot
from sojourn.runlog.state import RunState


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What was checked: the number of entries, of snapshot entries among them, and the head."""

    entries: int
    snapshots: int
    head: Head


def verify_chain(log: RunLog, expect_head: Head | None = None) -> ChainReport:
    """Read every entry, check its digest, its place, the rules, every snapshot, and that nothing lies after the head.

    Raises:
        CorruptData: says which entry is wrong, and how.
    """
    if expect_head:
        log.check_head(expect_head)
    known = log.refresh()
    state: RunState | None = None
    snapshots = 0
    for entry in log.entries():
        if isinstance(entry.body, Snapshot) and state:
            _check_snapshot(log, entry.body, state)
            snapshots += 1
        state = fold.apply(state, entry) if state else fold.first(entry)
    if canonical(to_json(state)) != canonical(to_json(known)):
        raise CorruptData(f"the log of {log.prefix} does not amount to the state that its snapshots give")
    _check_nothing_beyond(log)
    return ChainReport(known.head.index + 1, snapshots, known.head)


def _check_snapshot(log: RunLog, snapshot: Snapshot, state: RunState) -> None:
    content = canonical(to_json(state))
    if snapshot.key and snapshot.key not in log.state.state_files:
        # Superseded large snapshots are deleted; their entry still holds the digest.
        same = digest_of(content) == snapshot.digest
    else:
        same = canonical(to_json(reading.snapshot_state(log.store, log.prefix, snapshot))) == content
    if not same:
        raise CorruptData(f"snapshot entry {snapshot.index} of {log.prefix} is not the state of the entries before it")


def _check_nothing_beyond(log: RunLog) -> None:
    folder = f"{log.prefix}/log"
    names = [info.key.removeprefix(f"{folder}/") for info in log.store.list(folder)]
    expected = {f"{index:020}.json" for index in range(log.head.index + 1)}
    stray = [name for name in names if name not in expected]
    # Entries that others append meanwhile follow on without a gap.
    later = [f"{log.head.index + 1 + offset:020}.json" for offset in range(len(stray))]
    if stray != later:
        raise CorruptData(
            f"{log.store.uri}/{folder} holds {next(a for a, b in zip(stray, later, strict=True) if a != b)}, "
            f"which does not belong to the log that ends at entry {log.head.index}",
            hint="An entry was removed, or a stranger's file put there.",
        )
