"""What must hold after a strike: what was committed is there bit for bit, nothing half is listed, the run goes on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from helpers.checkpoints import sample_tensors
from helpers.logs import account
from helpers.runs import START, assert_holds, commit_step
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.retention import BestPolicy, RetentionPolicy
from sojourn.checkpoint.sweep import sweep, sweep_interrupted
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import NotFound
from sojourn.runlog.errors import Fenced
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Commit, Created, KeepBest
from sojourn.runlog.runs import find_run, list_runs
from sojourn.store.keys import TEMP_PREFIX
from sojourn.store.posix import PosixStore

CREATED = Created(
    run_id="00000000-0000-4000-8000-00000000000a", name="digits", keep_best=KeepBest(metric="acc", mode="Max")
)
KEEP = RetentionPolicy(keep_last=2, keep_best=BestPolicy("acc", "Max"))
AFTER = 9999
"""A step that no story reaches."""


def every_run_is_whole(store: PosixStore) -> None:
    """Every listed run opens, keeps the log's rules, and has each of its checkpoints and exports, bit for bit."""
    for info in store.list():
        assert TEMP_PREFIX not in info.key
    for summary in list_runs(store):
        assert summary.problem is None, summary.problem
        account(store, summary.prefix)
        log = RunLog.open(store, summary.prefix)
        report = verify_run(log)
        assert report.ok, report.problems
        for commit in log.state.commits:
            restores_exactly(log, commit)


def restores_exactly(log: RunLog, commit: Commit) -> None:
    read = CheckpointReader(log.store, log.prefix, commit).read()
    expected = sample_tensors(commit.step)
    assert set(read) == set(expected)
    for name, array in expected.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def promises_are_kept(store: PosixStore, told: list[str], namespace: str = "local") -> None:
    """What a method of the product returned for is in the log."""
    if not told:
        return
    state = find_run(store, "digits", namespace).state
    steps = [int(line.removeprefix("committed ")) for line in told if line.startswith("committed ")]
    if steps:
        assert state.latest is not None
        assert state.latest.step >= steps[-1]
        assert steps[-1] in [commit.step for commit in state.commits]
    assert state.attempts >= sum(line.startswith("attempt ") for line in told)


def goes_on(log: RunLog) -> None:
    """A new attempt sweeps, commits on top of the newest commit, and leaves nothing that nobody counts on."""
    before = log.refresh().latest
    term = log.begin_attempt("after")
    sweep_interrupted(log)
    assert list(_temporary(log, "data")) == []
    if before:
        assert log.state.latest == before
        restores_exactly(log, before)
    commit_step(log, AFTER)
    sweep(log, KEEP, term=term, now=START)
    assert_holds(RunLog.open(log.store, log.prefix), AFTER)
    alive = {commit.checkpoint for commit in log.state.commits if not commit.run}
    kept = {f"data/{name}" for name in log.store.list_folders(f"{log.prefix}/data")}
    pinned = {key for pin in log.state.pins for key in pin.keys}
    assert alive <= kept <= alive | pinned
    states = {info.key.removeprefix(f"{log.prefix}/") for info in log.store.list(f"{log.prefix}/state")}
    assert states == set(log.state.state_files)
    assert verify_run(log).ok
    assert isinstance(log.store, PosixStore)
    nothing_temporary(log.store)


def nothing_temporary(store: PosixStore) -> None:
    """The hourly sweep finds every temporary file and every folder that held nothing else."""
    store.sweep_temporary(-math.inf)
    assert [path for path in store.root.rglob("*") if path.is_file() and path.name.startswith(TEMP_PREFIX)] == []


def is_refused(log: RunLog) -> None:
    """The run was handed over, so nobody may train here."""
    with pytest.raises(Fenced):
        log.begin_attempt("here")


def has_no_run(store: PosixStore) -> None:
    with pytest.raises(NotFound):
        find_run(store, "digits")


def _temporary(log: RunLog, folder: str) -> list[Path]:
    assert isinstance(log.store, PosixStore)
    return [path for path in (log.store.root / log.prefix / folder).rglob(f"{TEMP_PREFIX}*") if path.is_file()]
