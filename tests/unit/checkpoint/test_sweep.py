"""Sweeping: the log first, the files after, and nobody's work in between."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from helpers.checkpoints import sample_tensors, write_checkpoint
from helpers.runs import Clock, Countdown, DyingStore, Killed, assert_holds, commit_step, new_run, trained_run
from sojourn.checkpoint.commit import checkpoint_key
from sojourn.checkpoint.retention import BestPolicy, RetentionPolicy
from sojourn.checkpoint.sweep import garbage, sweep, sweep_interrupted
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import StoreError
from sojourn.runlog.errors import StaleTerm
from sojourn.runlog.log import RunLog
from sojourn.store.keys import TEMP_PREFIX
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer import Destination, copy_run

ONE = RetentionPolicy(keep_last=1)


def folders(log: RunLog) -> list[str]:
    return [f"data/{name}" for name in log.store.list_folders(f"{log.prefix}/data")]


def steps(log: RunLog) -> list[int]:
    return [commit.step for commit in log.refresh().commits]


def test_what_is_not_kept_is_retired_and_deleted() -> None:
    clock = Clock()
    log = trained_run(MemoryStore(), clock.env())
    policy = RetentionPolicy(keep_last=1, keep_best=BestPolicy("acc", "Max"))
    middle = log.state.commits[1]
    size = sum(info.size for info in log.store.list(f"{log.prefix}/{middle.checkpoint}"))
    report = sweep(log, policy, term=1, now=clock.time)
    assert report.retired == report.deleted == (middle.checkpoint,)
    assert report.bytes == size > 0
    assert steps(log) == [10, 30]
    assert sorted(folders(log)) == sorted(commit.checkpoint for commit in log.state.commits)
    assert verify_run(log).ok
    again = sweep(log, policy, term=1, now=clock.time)
    assert (again.retired, again.deleted, again.bytes) == ((), (), 0)


def test_pinned_and_used_ones_stay_until_they_are_free() -> None:
    clock = Clock()
    log = trained_run(MemoryStore(), clock.env())
    first, second, _ = (commit.checkpoint for commit in log.state.commits)
    log.pin([first], holder="server", until=clock.time + timedelta(hours=1))
    assert sweep(log, ONE, term=1, now=clock.time, in_use=[second]).retired == ()
    assert sweep(log, ONE, term=1, now=clock.time).retired == (second,)
    clock.forward(hours=2)
    assert sweep(log, ONE, term=1, now=clock.time).retired == (first,)


def test_an_outdated_attempt_retires_nothing() -> None:
    clock = Clock()
    log = trained_run(MemoryStore(), clock.env())
    RunLog.open(log.store, log.prefix, env=clock.env()).begin_attempt("second")
    with pytest.raises(StaleTerm):
        sweep(log, ONE, term=1, now=clock.time)
    assert steps(log) == [10, 20, 30]
    assert len(folders(log)) == 3


def test_orphans_of_older_attempts_go_and_those_of_the_newest_stay() -> None:
    clock = Clock()
    log = trained_run(MemoryStore(), clock.env())
    log.begin_attempt("second")
    for term in (1, 2):
        write_checkpoint(log.store, log.prefix, checkpoint_key(99, term, "orphan"), sample_tensors())
    log.store.put(f"{log.prefix}/data/notes/readme", b"a stranger's")
    report = sweep(log, RetentionPolicy(keep_last=9), term=2, now=clock.time)
    assert report.deleted == ("data/99-1-orphan",)
    assert set(folders(log)) >= {"data/99-2-orphan", "data/notes"}
    assert len(steps(log)) == 3


def test_a_retired_export_is_deleted() -> None:
    clock = Clock()
    log = trained_run(MemoryStore(), clock.env())
    log.retire(term=1, keys=["export/1"])
    assert sweep(log, RetentionPolicy(keep_last=9), term=1, now=clock.time).deleted == ("export/1",)
    assert not list(log.store.list(f"{log.prefix}/export"))


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_any_write_the_next_sweep_finishes(late: bool) -> None:
    for left in range(1, 100):
        clock, store = Clock(), MemoryStore()
        prefix = trained_run(store, clock.env()).prefix
        dying = DyingStore(store, Countdown(left, late))
        try:
            sweep(RunLog.open(dying, prefix, env=clock.env()), ONE, term=1, now=clock.time)
        except Killed:
            pass
        else:
            break
        log = RunLog.open(store, prefix, env=clock.env())
        assert verify_run(log).ok
        sweep(log, ONE, term=1, now=clock.time)
        assert steps(log) == [30]
        assert folders(log) == [commit.checkpoint for commit in log.state.commits]
    else:
        pytest.fail("it never ended")
    assert left > 5


def test_a_child_in_the_same_store_keeps_what_it_adopted_and_frees_it_when_done() -> None:
    clock, store = Clock(), MemoryStore()
    parent = trained_run(store, clock.env())
    child = copy_run(parent, Destination(store, name="branch"), env=clock.env()).child
    clock.forward(days=365)
    assert sweep(parent, ONE, term=1, now=clock.time).retired == ()

    child.begin_attempt("goes on")
    commit_step(child, 31)
    report = sweep(child, RetentionPolicy(keep_last=2), term=2, now=clock.time)
    assert len(report.retired) == 2
    assert report.deleted == ()
    assert_holds(RunLog.open(store, child.prefix), 31)
    assert [commit.step for commit in child.state.commits] == [30, 31]

    assert len(sweep(parent, ONE, term=1, now=clock.time).retired) == 2
    assert_holds(parent, 30)
    sweep(child, ONE, term=2, now=clock.time)
    assert parent.refresh().pins == ()
    assert verify_run(child).ok


def test_a_childs_sweep_survives_the_loss_of_its_parent() -> None:
    clock, store = Clock(), MemoryStore()
    parent = trained_run(store, clock.env())
    child = copy_run(parent, Destination(store, name="branch"), env=clock.env()).child
    child.begin_attempt("goes on")
    commit_step(child, 31)
    for info in list(store.list(parent.prefix)):
        store.delete(info.key)
    assert len(sweep(child, ONE, term=2, now=clock.time).retired) == 3


def test_a_new_run_has_no_garbage() -> None:
    log = new_run(MemoryStore(), Clock().env())
    assert garbage(log.store, log.prefix, log.state) == []


def test_what_killed_writers_left_goes_when_the_next_attempt_begins(tmp_path: Path) -> None:
    log = trained_run(PosixStore(tmp_path), Clock().env())
    stopped = [
        log.store.open_writer(f"{log.prefix}/{key}") for key in ("data/40-1-x/ckpt.data", "export/1/saved_model.pb")
    ]
    for writer in stopped:
        writer.__enter__().write(b"half")
    log.begin_attempt("second", {})
    assert sweep_interrupted(log) == 1
    assert [path.parent.name for path in tmp_path.rglob(f"{TEMP_PREFIX}*")] == ["1"]  # the export may be under way
    assert not (tmp_path / log.prefix / "data/40-1-x").exists()
    assert verify_run(log).ok
    late = stopped[0]  # the old attempt's writer lives on, and finds its file gone
    with pytest.raises(StoreError):
        late.__exit__(None, None, None)


def test_a_store_without_half_written_files_has_nothing_to_sweep() -> None:
    assert sweep_interrupted(trained_run(MemoryStore(), Clock().env())) == 0


def test_files_of_snapshots_that_nobody_reads_go() -> None:
    clock = Clock()
    log = trained_run(MemoryStore(), clock.env())
    head = log.state.head.index
    lost = f"{log.prefix}/state/{head:020}-of-a-killed-writer.json"
    being_written = f"{log.prefix}/state/{head + 2:020}-x.json"
    for key in (lost, being_written):
        log.store.put(key, b"{}")
    assert sweep(log, RetentionPolicy(keep_last=3), term=1, now=clock.time).bytes == 2
    assert [info.key for info in log.store.list(f"{log.prefix}/state")] == [being_written]


def test_the_snapshot_that_readers_begin_from_stays() -> None:
    clock = Clock()
    log = trained_run(MemoryStore(), clock.env())
    for number in range(100):
        log.pin([log.state.commits[0].checkpoint], holder=f"{number} {'x' * 1000}", until=None)
    (kept,) = log.state.state_files
    sweep(log, RetentionPolicy(keep_last=3), term=1, now=clock.time)
    assert [info.key for info in log.store.list(f"{log.prefix}/state")] == [f"{log.prefix}/{kept}"]
    assert RunLog.open(log.store, log.prefix).state == log.state
