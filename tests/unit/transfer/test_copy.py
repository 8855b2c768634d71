"""Copies: complete or invisible, resumed where they stopped, verified on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.runs import Clock, Countdown, DyingStore, Killed, assert_holds, commit_step, new_run, trained_run
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import CorruptData, InvalidInput, StoreError
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import find_run, list_runs
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer import Destination, TransferProgress, copy_run


def stores() -> tuple[MemoryStore, MemoryStore]:
    return MemoryStore("source"), MemoryStore("target")


def test_a_copy_has_everything_and_the_source_goes_on() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    result = copy_run(source, Destination(there), env=clock.env())
    child = result.child
    assert [commit.step for commit in child.state.commits] == [10, 20, 30]
    assert [export.version for export in child.state.exports] == [1]
    assert child.state.run_id != source.state.run_id
    assert there.read(f"{child.prefix}/job/aa/code.tar") == bytes(700)
    assert verify_run(child).ok
    assert_holds(child, 30)
    parent = child.state.parent
    assert parent is not None
    assert (parent.run_id, parent.store, parent.fence) == (source.state.run_id, here.uri, "")
    assert result.copied_bytes > 0
    commit_step(source, 40)
    assert child.begin_attempt("there") == 2
    commit_step(child, 31)
    assert source.state.pins == ()


def test_the_same_copy_again_sends_nothing() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    first = copy_run(source, Destination(there), env=clock.env())
    again = copy_run(source, Destination(there), env=clock.env())
    assert (again.child.prefix, again.copied_bytes) == (first.child.prefix, 0)
    commit_step(source, 40)
    later = copy_run(source, Destination(there), env=clock.env())
    assert later.child.prefix != first.child.prefix
    assert_holds(later.child, 40)


def test_under_another_name() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    copy_run(source, Destination(there, name="numbers", namespace="team"), env=clock.env())
    assert find_run(there, "numbers", "team").state.latest is not None


def test_only_what_is_needed() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    child = copy_run(source, Destination(there), choice="Needed", env=clock.env()).child
    assert [commit.step for commit in child.state.commits] == [10, 30]


def test_a_run_that_has_not_begun() -> None:
    clock, (here, there) = Clock(), stores()
    child = copy_run(new_run(here, clock.env()), Destination(there), env=clock.env()).child
    assert child.state.commits == ()
    assert there.stat(f"{child.prefix}/job/aa/job.json")


def test_progress_reaches_the_total() -> None:
    clock, (here, there) = Clock(), stores()
    seen: list[TransferProgress] = []
    result = copy_run(trained_run(here, clock.env()), Destination(there), env=clock.env(), on_progress=seen.append)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert {step.total for step in seen} == {result.copied_bytes}
    assert seen[-1].done == seen[-1].total
    assert seen[0].file.startswith("local/digits-")


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_any_write_it_is_invisible_and_goes_on(late: bool) -> None:
    clock = Clock()
    for left in range(1, 200):
        here, there = stores()
        prefix = trained_run(here, clock.env(), steps=(10, 20)).prefix
        dying = Countdown(left, late)
        source = RunLog.open(DyingStore(here, dying), prefix, env=clock.env())
        try:
            copy_run(source, Destination(DyingStore(there, dying)), env=clock.env())
        except Killed:
            runs = list_runs(there)
            assert all(verify_run(RunLog.open(there, run.prefix)).ok for run in runs)
        else:
            break
        source = RunLog.open(here, prefix, env=clock.env())
        source.begin_attempt("goes on")
        result = copy_run(source, Destination(there), env=clock.env())
        assert verify_run(result.child).ok
        assert_holds(result.child, 20)
        assert len(list_runs(there)) == 1
        assert source.refresh().pins == ()
    else:
        pytest.fail("it never ended")
    assert dying.writes > 10


def test_what_arrived_is_not_sent_again() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    with pytest.raises(Killed):
        copy_run(source, Destination(DyingStore(there, Countdown(4))), env=clock.env())
    arrived = sum(info.size for info in there.list())
    result = copy_run(source, Destination(there), env=clock.env())
    assert result.reused_bytes == arrived > 0
    assert result.copied_bytes > 0


def test_a_file_of_the_right_size_and_other_bytes_is_replaced() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    with pytest.raises(Killed):
        copy_run(source, Destination(DyingStore(there, Countdown(4))), env=clock.env())
    for info in list(there.list()):
        there.put(info.key, bytes(info.size))
    result = copy_run(source, Destination(there), env=clock.env())
    assert result.reused_bytes == 0
    assert verify_run(result.child).ok


def test_a_damaged_source_is_not_copied() -> None:
    clock, (here, there) = Clock(), stores()
    source = trained_run(here, clock.env())
    latest = source.state.latest
    assert latest is not None
    key = f"{source.prefix}/{latest.checkpoint}/ckpt.data-00001-of-00002"
    here.put(key, here.read(key)[:-1] + b"\xff")
    with pytest.raises(CorruptData, match=r"ckpt\.data-00001-of-00002, chunk 0"):
        copy_run(source, Destination(there), env=clock.env())
    assert list_runs(there) == []
    assert not [info for info in there.list() if info.key.endswith(key.removeprefix(source.prefix))]


def test_a_target_that_changes_what_it_is_given_is_found_out() -> None:
    class Lying(MemoryStore):
        def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            data = super().read(key, offset, length)
            return bytes(len(data)) if ".data-" in key else data

    clock = Clock()
    source = trained_run(MemoryStore("source"), clock.env())
    with pytest.raises(CorruptData):
        copy_run(source, Destination(Lying("target")), env=clock.env())


def test_a_target_without_room_is_refused_before_anything_is_sent() -> None:
    class Full(MemoryStore):
        def free_bytes(self) -> int | None:
            return 100

    clock, target = Clock(), Full("target")
    with pytest.raises(StoreError, match="100 bytes free"):
        copy_run(trained_run(MemoryStore("source"), clock.env()), Destination(target), env=clock.env())
    assert not list(target.list())


def test_in_one_store_checkpoints_are_adopted_and_held() -> None:
    clock, store = Clock(), MemoryStore()
    source = trained_run(store, clock.env())
    with pytest.raises(InvalidInput, match="another name"):
        copy_run(source, Destination(store), env=clock.env())
    result = copy_run(source, Destination(store, name="branch"), env=clock.env())
    assert result.adopted
    assert not list(store.list(f"{result.child.prefix}/data"))
    assert_holds(result.child, 30)
    assert verify_run(result.child).ok
    clock.forward(days=365)
    assert set(source.refresh().pinned(clock.time)) == {commit.checkpoint for commit in source.state.commits}


def test_a_copy_of_an_adopted_checkpoint_holds_it_where_it_lies() -> None:
    clock, store = Clock(), MemoryStore()
    source = trained_run(store, clock.env())
    branch = copy_run(source, Destination(store, name="branch"), env=clock.env()).child
    twig = copy_run(branch, Destination(store, name="twig"), env=clock.env()).child
    assert_holds(twig, 30)
    assert {commit.run for commit in twig.state.commits} == {source.prefix}
    assert len(source.refresh().pins) == 2
    elsewhere = copy_run(twig, Destination(MemoryStore("target")), env=clock.env()).child
    assert {commit.run for commit in elsewhere.state.commits} == {""}
    assert_holds(elsewhere, 30)


def test_between_directories(tmp_path: Path) -> None:
    clock = Clock()
    source = trained_run(PosixStore(tmp_path / "a"), clock.env())
    child = copy_run(source, Destination(PosixStore(tmp_path / "b")), env=clock.env()).child
    assert verify_run(child).ok
    assert_holds(child, 30)
