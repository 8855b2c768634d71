"""Removes checkpoints that are no longer kept, and what interrupted writers left behind.

The log says first what no longer exists, the files go after: an interruption leaves files that nobody counts on,
and the next sweep finds them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sojourn.checkpoint.retention import RetentionPolicy, expired
from sojourn.errors import NotFound, StoreError
from sojourn.runlog.log import RunLog
from sojourn.runlog.state import RunState
from sojourn.store.base import Store
from sojourn.store.posix import PosixStore

_HUNG_SECONDS = 3600.0
_FOLDER = re.compile(r"\d+-(?P<term>\d+)-.+")
_SNAPSHOT = re.compile(r"state/(?P<index>\d{20})-.+\.json")


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did: checkpoints retired, folders deleted (retired ones and orphans), bytes freed."""

    retired: tuple[str, ...]
    deleted: tuple[str, ...]
    bytes: int


def sweep(
    log: RunLog, policy: RetentionPolicy, *, term: int, now: datetime, in_use: Collection[str] = ()
) -> SweepReport:
    """Retire what `policy` does not keep, and delete the files of everything that does not exist any more.

    Args:
        log: the run; it is read up to its end.
        term: of the caller; a newer attempt's start makes the request outdated.
        now: for pins that expire.
        in_use: keys of checkpoints that the caller needs himself, beside pinned ones.

    Raises:
        StaleTerm: a newer attempt began.
        Pinned: a reader pinned one of them meanwhile; nothing was retired, sweep again.
        StoreError: a file could not be deleted; the next sweep tries again.
    """
    state = log.refresh()
    retired = expired(state.commits, policy, {*state.pinned(now), *in_use})
    if retired:
        log.retire(term=term, keys=retired, reason="retention")
    for holder in {commit.run for commit in state.commits if commit.run and commit.checkpoint in retired}:
        release(log, holder)
    deleted, freed = [], 0
    for key in garbage(log.store, log.prefix, log.refresh()):
        freed += delete_folder(log.store, f"{log.prefix}/{key}")
        deleted.append(key)
    for key, size in lost_snapshots(log.store, log.prefix, log.state):
        log.store.delete(f"{log.prefix}/{key}")
        freed += size
    return SweepReport(retired, tuple(deleted), freed)


def sweep_interrupted(log: RunLog) -> int:
    """Delete what killed writers left half-written in a run; returns how many files.

    Call it between the start of an attempt and its first save: then everything half-written in data/ is of attempts
    that are shut out, and one of their workers that still writes only learns so earlier. Elsewhere (exports, pins)
    somebody may be writing rightfully, so only files that nobody has written to for an hour go.
    """
    if not isinstance(log.store, PosixStore):
        return 0
    of_attempts = log.store.sweep_temporary(-math.inf, prefix=f"{log.prefix}/data")
    return of_attempts + log.store.sweep_temporary(_HUNG_SECONDS, prefix=log.prefix)


def garbage(store: Store, prefix: str, state: RunState) -> list[str]:
    """Keys of folders whose files nobody counts on: retired ones, and orphans of attempts that are shut out.

    What has the newest term and is not in the log is being written, so it stays.
    """
    alive = {commit.checkpoint for commit in state.commits} | {export.key for export in state.exports}
    gone = []
    for name in store.list_folders(f"{prefix}/data"):
        key, match = f"data/{name}", _FOLDER.fullmatch(name)
        if key not in alive and (key in state.retired or (match and int(match["term"]) < state.term)):
            gone.append(key)
    exports = {f"export/{name}" for name in store.list_folders(f"{prefix}/export")}
    return [*gone, *sorted(exports & set(state.retired) - alive)]


def lost_snapshots(store: Store, prefix: str, state: RunState) -> list[tuple[str, int]]:
    """Keys and bytes of files of large snapshots that no reader needs: superseded, or of a writer that was killed.

    A file is named after the entry that is to refer to it, so where that entry is there, it is decided.
    """
    found = [(info.key.removeprefix(f"{prefix}/"), info.size) for info in store.list(f"{prefix}/state")]
    return [
        (key, size)
        for key, size in found
        if key not in state.state_files
        and (match := _SNAPSHOT.fullmatch(key))
        and int(match["index"]) <= state.head.index
    ]


def delete_folder(store: Store, folder: str) -> int:
    """Delete every object below a folder; returns their bytes."""
    freed = 0
    for info in list(store.list(folder)):
        store.delete(info.key)
        freed += info.size
    return freed


def release(log: RunLog, holder: str) -> None:
    """Take back the pin on retired checkpoints that this run adopted from a run of the same store."""
    still = [commit.checkpoint for commit in log.state.commits if commit.run == holder]
    try:
        other = RunLog.open(log.store, holder)
        if still:
            other.pin(still, holder=adopter(log.state.run_id), until=None, pin_id=log.state.run_id)
        else:
            other.unpin(log.state.run_id)
    except (StoreError, NotFound):
        # The pin stays: that keeps too much, never too little.
        return


def adopter(run_id: str) -> str:
    """The holder's name in the pin by which run `run_id` keeps what it adopted."""
    return f"run {run_id}, which goes on from here"
