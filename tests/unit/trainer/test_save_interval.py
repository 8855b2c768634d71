"""`every.auto`: the interval follows from measured costs, and the choice is told."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import events
from sojourn.api.policy import AutoInterval
from sojourn_trainer.checkpointing.interval import (
    FIRST_SECONDS,
    SHORTEST_SECONDS,
    Choice,
    SaveCost,
    choose,
    optimum,
)
from sojourn_trainer.driver.save_interval import SaveInterval
from sojourn_trainer.driver.timing import Clocks
from sojourn_trainer.loop.cost import STEPS_AFTER, CostMeter

seconds = st.floats(0, 1e4)
costs = st.lists(st.builds(SaveCost, seconds, seconds, seconds), min_size=1, max_size=9)
bounds = st.floats(0.001, 0.5)
failure_rates = st.none() | st.floats(1, 1e8)


@given(costs, bounds, failure_rates)
def test_no_choice_breaks_the_bound(measured: list[SaveCost], bound: float, failures: float | None) -> None:
    choice = choose(measured, bound, failures)
    assert choice.cost <= bound * (choice.seconds - choice.cost) * (1 + 1e-9)
    assert choice.seconds >= choice.write
    assert failures is not None or choice.seconds >= SHORTEST_SECONDS


@given(costs, bounds, failure_rates, st.floats(1.01, 10))
def test_dearer_saves_are_never_made_more_often(
    measured: list[SaveCost], bound: float, failures: float | None, factor: float
) -> None:
    dearer = [SaveCost(cost.blocked * factor, cost.excess * factor, cost.write) for cost in measured]
    longer, tighter = choose(dearer, bound, failures), choose(measured, bound / factor, failures)
    assert min(longer.seconds, tighter.seconds) >= choose(measured, bound, failures).seconds * (1 - 1e-9)


@given(st.floats(0.001, 100), st.floats(1, 1e7))
def test_the_optimum_is_one(cost: float, failures: float) -> None:
    """Against the expected time to the end of Daly's model, relative to that without failures."""

    def expected(interval: float) -> float:
        return math.expm1((interval + cost) / failures) / interval

    best = optimum(cost, failures)
    if cost < failures / 2:
        assert expected(best) <= min(expected(best * 0.7), expected(best * 1.4)) * 1.0001


@pytest.mark.parametrize(
    ("measured", "failures", "reason", "interval"),
    [
        ([], None, "FirstSave", FIRST_SECONDS),
        ([SaveCost(0.5, 0.2, 3.0)], None, "Overhead", 0.7 * (1 + 1 / 0.035)),
        ([SaveCost(0.001, 0.0, 30.0)], None, "WriteTime", 30.0),
        ([SaveCost(0.001, 0.0, 1.0)], None, "Shortest", SHORTEST_SECONDS),
        ([SaveCost(0.0, 0.0, 0.0)], 60.0, "FailureRate", 1.0),
        ([SaveCost(0.1, 0.0, 1.0)], 20_000.0, "FailureRate", 63.28),
        ([SaveCost(0.1, 0.0, 1.0)], 60.0, "FailureRate", 3.498),
    ],
)
def test_why(measured: list[SaveCost], failures: float | None, reason: str, interval: float) -> None:
    choice = choose(measured, 0.035, failures)
    assert choice.seconds == pytest.approx(interval, rel=1e-3)
    assert choice.reason == reason


def test_one_disturbed_save_does_not_decide() -> None:
    usual = [SaveCost(0.5, 0.0, 1.0)] * 4
    assert choose([*usual, SaveCost(60.0, 0.0, 1.0)], 0.035, None) == choose(usual, 0.035, None)


def fed(meter: CostMeter, durations: list[float], *, saving: bool = False, write: float | None = 2.0) -> list[SaveCost]:
    found = [meter.step(duration, saving=saving, write=None if saving else write) for duration in durations]
    return [cost for cost in found if cost is not None]


def test_a_save_costs_what_training_stood_still_and_what_the_steps_beside_it_took_longer() -> None:
    meter = CostMeter()
    assert fed(meter, [9.0, *([0.1] * 20)]) == []  # the first one is traced
    meter.saved(0.25)
    assert fed(meter, [0.3, 0.2, *([0.1] * 6)], saving=True) == []
    (cost,) = fed(meter, [0.1] * 10)
    assert (cost.blocked, cost.excess, cost.write) == (0.25, pytest.approx(0.3), 2.0)


def test_steps_that_were_just_fast_are_no_gain() -> None:
    meter = CostMeter()
    fed(meter, [9.0, *([0.1] * 20)])
    meter.saved(0.25)
    (cost,) = fed(meter, [0.09] * STEPS_AFTER)
    assert cost.excess == 0.0


def test_nothing_is_learnt_from_a_save_that_failed_or_steps_that_were_traced() -> None:
    meter = CostMeter()
    fed(meter, [9.0, *([0.1] * 20)])
    meter.saved(0.25)
    assert fed(meter, [0.1] * STEPS_AFTER, write=None) == []
    meter.saved(0.25)
    meter.restart()
    assert fed(meter, [9.0, *([0.1] * 20)]) == []


def test_choices_are_told_when_they_differ() -> None:
    told: list[events.Event] = []
    clocks = Clocks(wall=lambda: 7.0, monotonic=lambda: 0.0, sleep=lambda _: None)
    interval = SaveInterval(AutoInterval(max_overhead_percent=2.0), clocks, told.append)
    assert interval.after(None, None) == FIRST_SECONDS
    assert interval.after(None, None) == FIRST_SECONDS
    assert interval.after(SaveCost(1.0, 0.0, 3.0), None) == pytest.approx(51.0)
    assert interval.after(SaveCost(1.1, 0.0, 3.0), None) == pytest.approx(53.55)
    first, second = told
    assert isinstance(first, events.SaveInterval)
    assert isinstance(second, events.SaveInterval)
    assert (first.reason, second.reason, second.seconds) == ("FirstSave", "Overhead", pytest.approx(51.0))
    assert second.message == "a save takes 1.00 s from training, and all of them may lengthen it by 2%"


def test_the_manifest_knows_failures_better_than_the_driver() -> None:
    clocks = Clocks(wall=lambda: 7.0, monotonic=lambda: 0.0, sleep=lambda _: None)
    cost = SaveCost(0.1, 0.0, 1.0)
    given_rate = SaveInterval(AutoInterval(mean_time_between_failures_seconds=20_000), clocks, lambda _: None)
    assert given_rate.after(cost, 60.0) == pytest.approx(choose([cost], 0.035, 20_000.0).seconds)
    seen_rate = SaveInterval(AutoInterval(), clocks, lambda _: None)
    assert seen_rate.after(cost, 20_000.0) == given_rate.after(None, None)


def test_news() -> None:
    known = Choice(40.0, "Overhead")
    assert not Choice(44.0, "Overhead").is_news_after(known)
    assert Choice(60.0, "Overhead").is_news_after(known)
    assert Choice(40.0, "WriteTime").is_news_after(known)
