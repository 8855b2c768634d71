"""The trainer's pure parts: data position, save policy, layout, backoff, what follows a driver's end, error texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.errors import InvalidInput
from sojourn_trainer.data.position import EpochPlan, Position
from sojourn_trainer.driver.backoff import Backoff
from sojourn_trainer.loop.flags import FLAG_COUNT, Flags
from sojourn_trainer.loop.policy import Action, SaveState, decide
from sojourn_trainer.loop.progress import RunPosition
from sojourn_trainer.node.policy import Next, after_driver
from sojourn_trainer.state.layout import Item, slots_of_worker
from sojourn_trainer.workers.run import describe


def test_a_position_steps_into_the_next_epoch() -> None:
    plan = EpochPlan(samples=100, global_batch=16)
    assert (plan.batches, plan.padded) == (7, True)
    assert plan.after(Position(0, 5)) == Position(0, 6)
    assert plan.after(Position(0, 6)) == Position(1, 0)
    assert plan.flat(Position(2, 3)) == 17


def test_a_batch_that_replicas_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be split evenly over 3 replicas"):
        EpochPlan(samples=10, global_batch=16, replicas=3)


def test_flags_travel_as_numbers() -> None:
    flags = Flags(checkpoint=1, saving=2)
    assert len(flags.vector()) == FLAG_COUNT
    assert Flags.of(flags.vector().tolist()) == flags


@pytest.mark.parametrize(
    ("flags", "step", "action", "pending"),
    [
        (Flags(), 7, Action.GO_ON, False),
        (Flags(), 10, Action.SAVE, False),
        (Flags(checkpoint=1), 7, Action.SAVE, False),
        (Flags(saving=1), 10, Action.GO_ON, True),
        (Flags(stop=1, saving=1), 7, Action.STOP, False),
        (Flags(stop=1, abort=1), 7, Action.ABORT, False),
    ],
)
def test_what_happens_at_a_boundary(flags: Flags, step: int, action: Action, pending: bool) -> None:
    assert decide(SaveState(), flags, step, every_steps=10) == (action, SaveState(pending))


def test_a_save_that_had_to_wait_begins_at_the_first_free_boundary() -> None:
    _, state = decide(SaveState(), Flags(saving=1), 10, every_steps=10)
    assert decide(state, Flags(saving=1), 11, every_steps=10)[0] is Action.GO_ON
    assert decide(state, Flags(), 12, every_steps=10) == (Action.SAVE, SaveState())


def test_saves_that_fall_due_while_one_waits_become_one() -> None:
    _, waiting = decide(SaveState(), Flags(saving=1), 10, every_steps=10)
    assert not waiting.merged
    _, merged = decide(waiting, Flags(saving=1, checkpoint=1), 11, every_steps=10)
    assert merged == SaveState(pending=True, merged=True)
    assert decide(merged, Flags(saving=1), 12, every_steps=10)[1] == merged
    assert decide(merged, Flags(), 20, every_steps=10) == (Action.SAVE, SaveState())


def test_an_epoch_ends_for_a_state_that_has_some_of_its_batches() -> None:
    end = RunPosition(position=Position(3, 0))
    assert end.ends_epoch_of(Position(2, 5))
    assert not end.ends_epoch_of(Position(2, 0))
    assert not end.ends_epoch_of(Position(1, 5))
    assert not RunPosition(position=Position(2, 6)).ends_epoch_of(Position(2, 5))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=30), st.integers(1, 5), st.integers(1, 3))
def test_every_tensor_is_saved_exactly_once(sizes: list[tuple[int, bool]], workers: int, local: int) -> None:
    items = [Item(f"v{i}", size, differs) for i, (size, differs) in enumerate(sizes)]
    names = [slot.stored_name for rank in range(workers) for slot in slots_of_worker(items, rank, workers, local)]
    expected = sum(workers * local if item.per_replica else 1 for item in items)
    assert len(names) == len(set(names)) == expected
    assert {item.name for item in items} <= set(names)


def test_shards_have_about_the_same_size() -> None:
    items = [Item(f"v{i}", size, False) for i, size in enumerate([700, 100, 300, 500, 400])]
    loads = [sum(items[slot.index].nbytes for slot in slots_of_worker(items, rank, 2, 1)) for rank in range(2)]
    assert sorted(loads) == [1000, 1000]


@pytest.mark.parametrize(
    ("code", "stopping", "failures", "expected"),
    [
        (0, False, 0, Next.END),
        (3, True, 0, Next.END),
        (4, False, 0, Next.END),
        (-9, False, 1, Next.RESTART),
        (-9, False, 3, Next.GIVE_UP),
        (-9, True, 0, Next.GIVE_UP),
        (137, False, 1, Next.RESTART),
    ],
)
def test_what_follows_a_drivers_end(code: int, stopping: bool, failures: int, expected: Next) -> None:
    assert after_driver(code, stopping, Backoff(limit=2, failures=failures)) is expected


def test_a_failure_is_told_in_one_line() -> None:
    text = 'Graph execution error:\n\nDetected at node x:\n  File "a.py", line 1\n\nCollective ops is aborted\nmore'
    assert describe(1, RuntimeError(text)).message == "RuntimeError: Collective ops is aborted"
    assert not describe(1, RuntimeError(text)).permanent


def test_wrong_input_is_not_tried_again() -> None:
    failure = describe(0, InvalidInput("no such column", hint="Name another."))
    assert (failure.message, failure.hint, failure.permanent, failure.exit_code) == (
        "no such column",
        "Name another.",
        True,
        2,
    )
