"""Moves: one owner at every moment, nothing lost, whatever write the process died at."""

from __future__ import annotations

import pytest

from helpers.runs import Clock, Countdown, DyingStore, Killed, assert_holds, commit_step, new_run, trained_run
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import CorruptData, Refused
from sojourn.runlog.errors import Fenced, MovedOn
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import find_run, list_runs
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn.transfer import Destination, TransferProgress, move_run


def stores() -> tuple[MemoryStore, MemoryStore]:
    return MemoryStore("source"), MemoryStore("target")


def can_train(log: RunLog, attempt: str) -> bool:
    try:
        log.begin_attempt(attempt)
    except Fenced:
        return False
    return True


def test_a_moved_run_goes_on_there_and_only_there() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    child = move_run(source, Destination(there), migration_id="mig", env=clock.env()).child
    assert [commit.step for commit in child.state.commits] == [10, 30]
    assert verify_run(child).ok
    state = source.refresh()
    assert state.fence is not None
    assert (state.fence.migration_id, state.fence.step) == ("mig", 30)
    assert (state.fence.recipient.run_id, state.fence.recipient.run) == (child.state.run_id, child.prefix)
    parent = child.state.parent
    assert parent is not None
    assert (parent.fence, parent.run, parent.store) == (state.fence_digest, source.prefix, here.uri)
    with pytest.raises(Fenced, match="memory://target"):
        source.begin_attempt("here")
    assert child.begin_attempt("there") == state.term + 1
    commit_step(child, 31)
    assert state.pins == ()
    assert find_run(there, "digits").prefix == child.prefix


def test_there_and_back_again() -> None:
    clock, (here, there) = Clock(), stores()
    away = move_run(trained_run(here, clock.env()), Destination(there), env=clock.env()).child
    away.begin_attempt("there")
    commit_step(away, 40)
    home = move_run(away, Destination(here), env=clock.env()).child
    assert_holds(home, 40)
    assert find_run(here, "digits").prefix == home.prefix
    assert home.begin_attempt("home") == 3


def test_moving_again_changes_nothing() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    first = move_run(source, Destination(there), env=clock.env())
    again = move_run(source, Destination(there), env=clock.env())
    assert (again.child.prefix, again.copied_bytes) == (first.child.prefix, 0)
    assert len(list_runs(there)) == 1


def test_a_run_that_went_elsewhere_is_refused() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    move_run(source, Destination(there), env=clock.env())
    with pytest.raises(Fenced, match="memory://target"):
        move_run(source, Destination(MemoryStore("third")), env=clock.env())
    with pytest.raises(Fenced):
        move_run(source, Destination(there, name="other"), env=clock.env())


def test_under_another_name_and_completed_without_saying_it_again() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    first = move_run(source, Destination(there, name="numbers", namespace="team"), env=clock.env())
    assert first.child.prefix.startswith("team/numbers-")
    assert move_run(source, Destination(there), env=clock.env()).child.prefix == first.child.prefix


def test_a_run_without_checkpoints_moves_too() -> None:
    clock, (here, there) = Clock(), stores()
    source = new_run(here, clock.env())
    child = move_run(source, Destination(there), env=clock.env()).child
    assert child.state.latest is None
    assert child.begin_attempt("there") == 1


def test_within_one_store_nothing_is_copied_but_job_and_exports() -> None:
    clock, store = Clock(), MemoryStore()
    source = trained_run(store, clock.env())
    result = move_run(source, Destination(store, namespace="team"), env=clock.env())
    assert result.adopted
    assert not list(store.list(f"{result.child.prefix}/data"))
    assert_holds(result.child, 30)
    assert verify_run(result.child).ok
    clock.forward(days=400)
    held = set(source.refresh().pinned(clock.time))
    assert held == {commit.checkpoint for commit in result.child.state.commits}


class _Meddler:
    """Lets somebody act on the source while it is copied."""

    def __init__(self, store: Store, prefix: str, clock: Clock) -> None:
        self._log = RunLog.open(store, prefix, env=clock.env())
        self.commits, self.attempts = 0, 0

    def __call__(self, progress: TransferProgress) -> None:
        if progress.done == progress.total:
            self._log.refresh()
            if self.attempts:
                self.attempts -= 1
                self._log.begin_attempt("meddler")
            if self.commits:
                self.commits -= 1
                commit_step(self._log, 100 - self.commits)


def test_a_checkpoint_committed_meanwhile_comes_along() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    meddler = _Meddler(here, source.prefix, clock)
    meddler.commits = 2
    child = move_run(source, Destination(there), env=clock.env(), on_progress=meddler).child
    assert_holds(child, 100)
    assert len(list_runs(there)) == 1


def test_a_run_that_keeps_committing_is_not_fenced() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    meddler = _Meddler(here, source.prefix, clock)
    meddler.commits = 50
    with pytest.raises(MovedOn):
        move_run(source, Destination(there), env=clock.env(), on_progress=meddler)
    assert source.refresh().fence is None
    assert list_runs(there) == []


def test_an_attempt_that_begins_meanwhile_is_not_fenced_off() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    meddler = _Meddler(here, source.prefix, clock)
    meddler.attempts = 1
    with pytest.raises(MovedOn, match="attempt meddler began"):
        move_run(source, Destination(there), env=clock.env(), on_progress=meddler)
    assert source.refresh().fence is None


def test_a_damaged_source_is_not_fenced() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    latest = source.state.latest
    assert latest is not None
    key = f"{source.prefix}/{latest.checkpoint}/ckpt.index"
    here.put(key, here.read(key)[:-9])
    with pytest.raises(CorruptData):
        move_run(source, Destination(there), env=clock.env())
    assert source.refresh().fence is None
    assert can_train(source, "goes on")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("same_store", [False, True])
def test_killed_at_any_write_there_is_one_owner_and_asking_again_completes(late: bool, same_store: bool) -> None:
    fenced = went_on = 0
    for left in range(1, 300):
        clock, (here, there) = Clock(), stores()
        target, namespace = (here, "team") if same_store else (there, "")
        prefix = trained_run(here, clock.env(), steps=(10, 20)).prefix
        dying = Countdown(left, late)
        source = RunLog.open(DyingStore(here, dying), prefix, env=clock.env())
        to = Destination(DyingStore(target, dying), namespace=namespace)
        try:
            move_run(source, to, env=clock.env())
        except Killed:
            pass
        else:
            break
        source, step = RunLog.open(here, prefix, env=clock.env()), 20
        children = [run for run in list_runs(target) if run.prefix != prefix]
        if source.state.fence is None:
            assert children == []
            assert can_train(source, "goes on")
            step = 30
            commit_step(source, step)
            went_on += 1
        else:
            assert not can_train(source, "goes on")
            fenced += 1
        child = move_run(source, Destination(target, namespace=namespace), env=clock.env()).child
        assert not can_train(source, "again")
        assert can_train(child, "there")
        assert verify_run(child).ok
        assert_holds(child, step)
        assert len([run for run in list_runs(target) if run.prefix != prefix]) == 1
    else:
        pytest.fail("it never ended")
    assert fenced >= 1
    assert went_on >= 3


def test_an_interrupted_move_goes_on_with_what_arrived() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    with pytest.raises(Killed):
        move_run(source, Destination(DyingStore(there, Countdown(5))), env=clock.env())
    arrived = sum(info.size for info in there.list())
    result = move_run(source, Destination(there), env=clock.env())
    assert result.reused_bytes == arrived > 0


def test_two_moves_to_different_stores_have_one_winner() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    other = RunLog.open(here, source.prefix, env=clock.env())
    third = MemoryStore("third")

    def overtake(progress: TransferProgress) -> None:
        if progress.done == progress.total and other.refresh().fence is None:
            move_run(other, Destination(third), env=clock.env())

    with pytest.raises(Refused):
        move_run(source, Destination(there), env=clock.env(), on_progress=overtake)
    assert list_runs(there) == []
    assert can_train(find_run(third, "digits"), "there")


def test_after_a_takeover_the_next_move_makes_another_child() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    move_run(source, Destination(there), env=clock.env())
    clock.forward(minutes=1)
    source.takeover(fence=source.refresh().fence_digest, reason="the target burned", person="op")
    source.begin_attempt("back")
    commit_step(source, 50)
    second = move_run(source, Destination(there), env=clock.env()).child
    assert_holds(second, 50)
    assert len(list_runs(there)) == 2
    assert find_run(there, "digits").prefix == second.prefix


def test_after_a_takeover_a_half_made_hand_over_is_not_taken_up_again() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    total = Countdown(1000)
    probe_here, probe_there = stores()
    probe = trained_run(probe_here, Clock().env())
    move_run(RunLog.open(DyingStore(probe_here, total), probe.prefix, env=Clock().env()), Destination(probe_there))
    # The last write on the source takes the pin back; dying there leaves pin, fence and child.
    dying = Countdown(total.writes)
    with pytest.raises(Killed):
        move_run(RunLog.open(DyingStore(here, dying), source.prefix, env=clock.env()), Destination(there))
    source.takeover(fence=source.refresh().fence_digest, reason="lost", person="op")
    source.begin_attempt("back")
    commit_step(source, 50)
    assert source.refresh().pins
    second = move_run(source, Destination(there), env=clock.env()).child
    assert_holds(second, 50)
    assert len(list_runs(there)) == 2
