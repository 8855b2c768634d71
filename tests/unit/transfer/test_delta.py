"""Chunks that the target has are not sent, and what changed is sent as its difference; digests have the last word."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from helpers.checkpoints import write_checkpoint
from helpers.runs import Clock, new_run
from helpers.transfers import Ends, incoming, linked, place
from sojourn.checkpoint.commit import checkpoint_key
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.log import RunLog
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer import Destination, copy_run
from sojourn.transfer.chooser import Chooser
from sojourn.transfer.outgoing import Selection

Tensors = dict[str, npt.NDArray[Any]]
MOVE, COPY = Selection(moves=True), Selection()
SIZE = 700_000


@cache
def state(step: int) -> Tensors:
    """A frozen base, weights that move a little with each step, and a counter."""
    rng = np.random.default_rng(0)
    frozen = rng.standard_normal(2_200_000).astype(np.float32)
    weights = (rng.standard_normal(SIZE) * 0.05).astype(np.float32)
    for _ in range(step):
        weights = (weights + 1e-5 * rng.standard_normal(SIZE)).astype(np.float32)
    return {"frozen": frozen, "weights": weights, "step": np.array(step, np.int64)}


def commit(log: RunLog, step: int) -> int:
    """Commit the state of a step; returns its bytes."""
    folder = checkpoint_key(step, log.state.term, f"u{log.state.commits_made}-{log.prefix[-4:]}")
    _, info = write_checkpoint(log.store, log.prefix, folder, state(step), step=step)
    log.commit(term=log.state.term, attempt_id=log.state.attempt_id, commit=info)
    return info.bytes


def begun(store: Store, clock: Clock) -> RunLog:
    log = new_run(store, clock.env())
    log.begin_attempt("first")
    return log


def assert_state(log: RunLog, step: int) -> None:
    latest = log.state.latest
    assert latest is not None
    read = CheckpointReader(log.store, log.prefix, latest).read()
    for name, array in state(step).items():
        np.testing.assert_array_equal(read[name], array)


def stores(tmp_path: Path, kind: str) -> Store:
    return MemoryStore("there") if kind == "objects" else PosixStore(tmp_path / "there")


@pytest.mark.parametrize("kind", ["objects", "directory"])
def test_the_next_round_sends_only_what_changed(tmp_path: Path, kind: str) -> None:
    clock, there = Clock(), stores(tmp_path, kind)
    source = begun(PosixStore(tmp_path / "here"), clock)
    size = commit(source, 1)
    with linked(source, MOVE, clock=clock) as ends:
        first = incoming(ends, place(there), moves=True, clock=clock).bring(ends.remote, streams=1)
        commit(source, 2)
        sent = ends.sender.sent_bytes
        arriving = incoming(ends, place(there), moves=True, clock=clock)
        again = arriving.bring(ends.remote, streams=1)
        sent = ends.sender.sent_bytes - sent
        state = arriving.offer.origin.state
        fence = ends.outgoing.fence(
            term=state.term, manifest=arriving.newest, recipient=arriving.recipient, migration="m"
        )
        child = arriving.begin(fence=source.refresh().fence_digest, manifest=fence.manifest)
    assert first.total_bytes == again.total_bytes > size
    assert first.copied_bytes > 0.5 * size
    # A chunk of the frozen tensor is the same; the rest of it, beside the weights, takes nothing.
    assert again.reused_bytes >= 8 << 20
    assert again.copied_bytes == sent < SIZE * 4
    assert_state(child, 2)
    assert verify_run(child).ok


def test_a_copy_of_several_checkpoints_sends_the_differences_between_them(tmp_path: Path) -> None:
    clock, there = Clock(), MemoryStore("there")
    source = begun(PosixStore(tmp_path), clock)
    sizes = [commit(source, step) for step in (1, 2, 3)]
    with linked(source, COPY, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        report = arriving.bring(ends.remote, streams=2)
        child = arriving.begin()
    assert report.total_bytes > sum(sizes)
    assert report.copied_bytes == ends.sender.sent_bytes < sizes[0] + 2 * SIZE * 4
    assert report.copied_bytes + report.reused_bytes < report.total_bytes
    assert verify_run(child).ok
    assert_state(child, 3)


def test_a_run_that_comes_back_brings_only_what_is_new(tmp_path: Path) -> None:
    clock, here, there = Clock(), PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = begun(here, clock)
    size = commit(source, 1)
    away = copy_run(source, Destination(there), env=clock.env()).child
    away.begin_attempt("there")
    commit(away, 2)
    with linked(away, COPY, clock=clock) as ends:
        arriving = incoming(ends, place(here), clock=clock)
        report = arriving.bring(ends.remote, streams=1)
        home = arriving.begin()
    assert report.reused_bytes > size
    assert report.copied_bytes < SIZE * 4
    assert_state(home, 2)


def test_between_directories_shared_chunks_are_taken_from_the_target(tmp_path: Path) -> None:
    clock, here, there = Clock(), PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = begun(here, clock)
    commit(source, 1)
    copy_run(source, Destination(there), env=clock.env())
    commit(source, 2)
    later = copy_run(source, Destination(there, name="later"), env=clock.env())
    assert later.reused_bytes > 2 * (8 << 20)
    assert verify_run(later.child).ok


def damage(store: PosixStore, log: RunLog, step: int) -> None:
    """Other bytes of the same length in a checkpoint's data file."""
    commit = next(commit for commit in log.state.commits if commit.step == step)
    path = store.root / commit.location(log.prefix) / "ckpt.data-00000-of-00001"
    with path.open("r+b") as file:
        file.seek(-4 * SIZE, 2)
        file.write(bytes(4 * SIZE - 1000))


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_base_that_rotted_costs_bytes_and_nothing_else(tmp_path: Path, side: str) -> None:
    clock, here, there = Clock(), PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = begun(here, clock)
    commit(source, 1)
    before = copy_run(source, Destination(there), env=clock.env()).child
    commit(source, 2)
    with linked(source, Selection(what="Checkpoint"), clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        if side == "source":
            damage(here, source, 1)
        else:
            damage(there, before, 1)
        arriving.bring(ends.remote, streams=1)
        child = arriving.begin()
    assert_state(child, 2)
    assert verify_run(child).ok


def test_a_base_that_the_source_has_no_more_is_done_without(tmp_path: Path) -> None:
    clock, here, there = Clock(), PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = begun(here, clock)
    commit(source, 1)
    copy_run(source, Destination(there), env=clock.env())
    first = source.state.commits[0]
    commit(source, 2)
    with linked(source, Selection(what="Checkpoint"), clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        for info in list(here.list(first.location(source.prefix))):
            here.delete(info.key)
        arriving.bring(ends.remote, streams=1)
        assert_state(arriving.begin(), 2)


def test_noise_costs_no_more_than_itself(tmp_path: Path) -> None:
    clock, there = Clock(), MemoryStore("there")
    source = begun(PosixStore(tmp_path), clock)
    source.store.put(f"{source.prefix}/job/aa/noise", np.random.default_rng(0).bytes(10_000_000))
    with linked(source, COPY, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        report = arriving.bring(ends.remote)
        assert verify_run(arriving.begin()).ok
    assert report.copied_bytes == report.total_bytes == ends.sender.sent_bytes


def test_an_older_source_that_knows_no_codings_serves_a_newer_target(tmp_path: Path) -> None:
    clock, there = Clock(), MemoryStore("there")
    source = begun(PosixStore(tmp_path), clock)
    commit(source, 1)
    with linked(source, COPY, clock=clock) as ends:
        plain(ends)
        arriving = incoming(ends, place(there), clock=clock)
        report = arriving.bring(ends.remote)
        assert_state(arriving.begin(), 1)
    assert report.copied_bytes == report.total_bytes


def plain(ends: Ends) -> None:
    """Make the sender one that does as it did before there were codings."""
    coded = ends.sender.read_coded
    ends.sender.read_coded = lambda *asked: replace(coded(*asked), data=ends.sender.read(*asked[:3]), coding="")  # type: ignore[method-assign]


def test_a_shared_checkpoint_is_known_by_its_manifest(tmp_path: Path) -> None:
    """A checkpoint of the same name and steps, but of another run, is no base: the source could not use it."""
    clock, there = Clock(), PosixStore(tmp_path / "b")
    other = begun(there, clock)
    commit(other, 1)
    source = begun(PosixStore(tmp_path / "a"), clock)
    commit(source, 2)
    asked: list[str] = []
    with linked(source, COPY, clock=clock) as ends:
        coded = ends.sender.read_coded
        ends.sender.read_coded = lambda *args: asked.append(args[3]) or coded(*args)  # type: ignore[method-assign,func-returns-value]
        arriving = incoming(ends, place(there), clock=clock)
        report = arriving.bring(ends.remote, streams=1)
    assert report.reused_bytes >= 8 << 20
    assert set(asked) == {""}


class Seconds:
    """What each way takes, and how often it was chosen."""

    def __init__(self, plain: float, delta: float) -> None:
        self.takes = {"plain": plain, "delta": delta}
        self.chosen = {"plain": 0, "delta": 0}

    def run(self, chooser: Chooser, rounds: int) -> None:
        for _ in range(rounds):
            way = chooser.choose("delta")
            self.chosen[way] += 1
            chooser.record(way, 1000, self.takes[way])


@pytest.mark.parametrize("fast", ["plain", "delta"])
def test_the_faster_way_is_taken_and_the_other_one_looked_at(fast: str) -> None:
    took = Seconds(*(1.0 if way == fast else 1.5 for way in ("plain", "delta")))
    chooser = Chooser()
    took.run(chooser, 1000)
    assert 0.90 < took.chosen[fast] / 1000 < 0.96
    took.takes[fast] = 10.0
    before = dict(took.chosen)
    took.run(chooser, 300)
    assert took.chosen[fast] - before[fast] < 30


def test_a_way_that_is_far_slower_is_hardly_ever_tried() -> None:
    took = Seconds(1.0, 5.0)
    took.run(Chooser(), 1000)
    assert took.chosen["delta"] < 30
