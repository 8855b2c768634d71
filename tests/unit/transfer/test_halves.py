"""Both halves of a hand-over, killed at every write on either side: one owner at every moment, and nothing lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.runs import Clock, Countdown, DyingStore, Killed, assert_holds, commit_step, trained_run
from helpers.transfers import outgoing, place
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.errors import Fenced, MovedOn
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Fence, Takeover
from sojourn.runlog.runs import list_runs
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn.transfer.incoming import Incoming, kept_offer
from sojourn.transfer.outgoing import Order, Outgoing, Selection

MOVE = Selection(moves=True)


def hand_over(here: Store, there: Store, prefix: str, clock: Clock) -> RunLog:
    """What the movers and a Migration do, from the beginning or wherever somebody died before."""
    source = RunLog.open(here, prefix, env=clock.env())
    offered = outgoing(source, MOVE, clock.env())
    arriving = Incoming(offered.offer(), place(there), moves=True, env=clock.env())
    begun = arriving.begun()
    if begun:
        return begun
    if source.state.fence is None:
        arriving.bring(here, streams=1)
        state = arriving.offer.origin.state
        offered.fence(term=state.term, manifest=arriving.newest, recipient=arriving.recipient, migration="m")
    kept = kept_offer(there, arriving.prefix)
    assert kept is not None
    fence = source.refresh().fence
    assert fence is not None
    behind = Incoming(kept, place(there), moves=True, env=clock.env())
    return behind.begin(fence=source.state.fence_digest, manifest=fence.manifest)


def owners(here: Store, there: Store, prefix: str, clock: Clock) -> int:
    """Logs that would let an attempt begin."""
    count = 0
    for store, found in [(here, prefix), *((there, run.prefix) for run in list_runs(there))]:
        log = RunLog.open(store, found, env=clock.env())
        assert verify_run(log).ok
        count += log.state.fence is None
    return count


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_every_write_there_is_one_owner_and_it_goes_on(late: bool) -> None:
    for left in range(1, 200):
        clock, here, there = Clock(), MemoryStore("here"), MemoryStore("there")
        prefix = trained_run(here, clock.env(), steps=(10, 20)).prefix
        dying = Countdown(left, late)
        try:
            hand_over(DyingStore(here, dying), DyingStore(there, dying), prefix, clock)
        except Killed:
            # Between the fence and the child nobody can train, and at no time can two.
            assert owners(here, there, prefix, clock) <= 1
        else:
            break
        child = hand_over(here, there, prefix, clock)
        assert_holds(child, 20)
        assert owners(here, there, prefix, clock) == 1
        assert len(list_runs(there)) == 1
        with pytest.raises(Fenced):
            RunLog.open(here, prefix, env=clock.env()).begin_attempt("here")
        child.begin_attempt("there")
        commit_step(child, 21)
    else:
        pytest.fail("it never ended")
    assert dying.writes > 10


def test_a_source_that_goes_on_before_the_fence_keeps_the_run() -> None:
    clock, here, there = Clock(), MemoryStore("here"), MemoryStore("there")
    source = trained_run(here, clock.env())
    offered = outgoing(source, MOVE, clock.env())
    arriving = Incoming(offered.offer(), place(there), moves=True, env=clock.env())
    arriving.bring(here, streams=1)
    source.begin_attempt("somebody trains again")
    with pytest.raises(MovedOn):
        offered.fence(term=1, manifest=arriving.newest, recipient=arriving.recipient, migration="m")
    assert source.refresh().fence is None
    commit_step(source, 40)
    offered.release()
    arriving.abandon()
    assert list(there.list()) == []
    assert source.refresh().pins == ()


def test_a_run_that_was_taken_over_moves_again_as_another_child() -> None:
    clock, here, there = Clock(), MemoryStore("here"), MemoryStore("there")
    source = trained_run(here, clock.env())
    first = hand_over(here, there, source.prefix, clock)
    source.refresh()
    source.takeover(fence=source.state.fence_digest, reason="the cluster burnt down", person="somebody")
    source.begin_attempt("goes on here")
    commit_step(source, 50)
    second = hand_over(here, there, source.prefix, clock)
    assert second.prefix != first.prefix
    assert_holds(second, 50)


def test_an_order_opens_the_run_of_a_lost_heir_for_another() -> None:
    """And for one alone: of two who got the same order one has the run."""
    clock, here = Clock(), MemoryStore("here")
    source = trained_run(here, clock.env())
    hand_over(here, MemoryStore("lost"), source.prefix, clock)
    lost = source.refresh().fence_digest
    order = Order(fence=lost, reason="the cluster burnt down", person="ada")
    heirs = []
    for name in ("rescue", "late"):
        offered = outgoing(RunLog.open(here, source.prefix, env=clock.env()), MOVE, clock.env())
        arriving = Incoming(offered.offer(), place(MemoryStore(name)), moves=True, env=clock.env())
        arriving.bring(here, streams=1)
        heirs.append((offered, arriving))

    def hand_on(number: int, given: Order) -> Fence:
        offered, arriving = heirs[number]
        offered.override(given, arriving.recipient, "m2")
        state = arriving.offer.origin.state
        return offered.fence(term=state.term, manifest=arriving.newest, recipient=arriving.recipient, migration="m2")

    with pytest.raises(Fenced):
        hand_on(0, replace(order, fence="blake3:" + 64 * "0"))
    fence = hand_on(0, order)
    assert hand_on(0, order) == fence
    with pytest.raises(Fenced):
        hand_on(1, order)
    source.refresh()
    said = [entry.body for entry in source.entries() if isinstance(entry.body, Takeover)]
    assert [(one.fence, one.reason, one.person) for one in said] == [(lost, "the cluster burnt down", "ada")]
    child = heirs[0][1].begin(fence=source.state.fence_digest, manifest=fence.manifest)
    assert_holds(child, 30)
    assert verify_run(source).ok
    assert child.begin_attempt("there") > source.state.term


def test_there_and_back_again() -> None:
    clock, here, there = Clock(), MemoryStore("here"), MemoryStore("there")
    away = hand_over(here, there, trained_run(here, clock.env()).prefix, clock)
    away.begin_attempt("there")
    commit_step(away, 40)
    home = hand_over(there, here, away.prefix, clock)
    assert_holds(home, 40)
    assert home.begin_attempt("home") == 3
    assert verify_run(home).ok


def test_what_is_offered_is_held_and_renewed_without_end() -> None:
    clock, here = Clock(), MemoryStore("here")
    source = trained_run(here, clock.env())
    offered: Outgoing = outgoing(source, Selection(), clock.env())
    offered.offer()
    entries = source.head.index
    for _ in range(100):
        offered.offer()
        offered.renew()
        clock.forward(hours=1)
    assert source.refresh().pinned(clock.time).keys() == set(source.state.pins[0].keys)
    assert source.head.index - entries <= 9
    offered.release()
    assert source.refresh().pins == ()
