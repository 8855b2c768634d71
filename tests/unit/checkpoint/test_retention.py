"""Retention never gives up what somebody may need, whatever the history looks like."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.checkpoint.retention import BestPolicy, RetentionPolicy, best, expired, firsts, kept
from sojourn.errors import InvalidInput
from sojourn.runlog.records import Commit


def commit(step: int, value: float | None = None, hours: float = 0.0) -> Commit:
    metrics = {} if value is None else {"acc": value}
    return Commit(
        step=step,
        checkpoint=f"data/{step}",
        manifest="m",
        term=1,
        attempt_id="a",
        metrics=metrics,
        wall_seconds=hours * 3600.0,
    )


def steps(keys: tuple[str, ...]) -> list[int]:
    return [int(key.removeprefix("data/")) for key in keys]


def test_the_newest_are_kept() -> None:
    commits = [commit(step) for step in range(5)]
    assert steps(expired(commits, RetentionPolicy(keep_last=2))) == [0, 1, 2]
    assert expired(commits[:1], RetentionPolicy(keep_last=1)) == ()
    assert expired([], RetentionPolicy()) == ()


def test_newest_is_by_the_log_not_by_the_step() -> None:
    commits = [commit(10), commit(20), commit(5)]
    assert steps(expired(commits, RetentionPolicy(keep_last=1))) == [10, 20]


def test_the_best_are_kept() -> None:
    commits = [commit(1, 0.9), commit(2, 0.7), commit(3, 0.95), commit(4, 0.1), commit(5, 0.2)]
    most = RetentionPolicy(keep_last=1, keep_best=BestPolicy("acc", "Max", 2))
    least = RetentionPolicy(keep_last=1, keep_best=BestPolicy("acc", "Min"))
    assert steps(expired(commits, most)) == [2, 4]
    assert steps(expired(commits, least)) == [1, 2, 3]


def test_of_equals_the_newer_is_best_and_nan_and_none_never() -> None:
    commits = [commit(1, 0.5), commit(2, math.nan), commit(3, 0.5), commit(4), commit(5, -math.inf)]
    assert [found.step for found in best(commits, BestPolicy("acc", "Max", 9))] == [3, 1, 5]


def test_one_of_every_so_many_hours_is_kept_for_good() -> None:
    commits = [commit(n, hours=n / 2) for n in range(11)]  # at 0, 0.5, ... 5 hours
    policy = RetentionPolicy(keep_last=1, keep_every=2 * 3600.0)
    assert steps(expired(commits, policy)) == [0, 1, 2, 3, 5, 6, 7, 9]
    assert kept(commits, policy) == {
        "data/4": ("first after 2 h",),
        "data/8": ("first after 4 h",),
        "data/10": ("the newest",),
    }


def test_a_checkpoint_may_be_kept_for_several_reasons() -> None:
    commits = [commit(1, 0.5), commit(2, 0.9, hours=3)]
    policy = RetentionPolicy(keep_last=2, keep_best=BestPolicy("acc", "Max"), keep_every=3600.0)
    assert kept(commits, policy)["data/2"] == ("one of the newest 2", "best acc", "first after 3 h")
    assert RetentionPolicy.from_json(policy.to_json()) == policy


def test_held_ones_are_kept() -> None:
    commits = [commit(step) for step in range(4)]
    assert steps(expired(commits, RetentionPolicy(keep_last=1), {"data/1"})) == [0, 2]


def test_keeping_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="newest checkpoint is always kept"):
        RetentionPolicy(keep_last=0)


HISTORIES = st.lists(st.none() | st.floats(), max_size=20).map(
    # Trained time goes back where a run goes back to an earlier checkpoint.
    lambda values: [commit(step, value, hours=step * 0.7 % 5) for step, value in enumerate(values)]
)
POLICIES = st.builds(
    RetentionPolicy,
    keep_last=st.integers(1, 6),
    keep_best=st.none()
    | st.builds(BestPolicy, metric=st.just("acc"), mode=st.sampled_from(["Max", "Min"]), count=st.integers(1, 4)),
    keep_every=st.none() | st.floats(360.0, 36000.0),
)
HELD = st.sets(st.integers(0, 20).map(lambda step: f"data/{step}"), max_size=4)


@given(HISTORIES, POLICIES, HELD)
def test_what_goes_is_not_needed(commits: list[Commit], policy: RetentionPolicy, held: set[str]) -> None:
    gone = expired(commits, policy, held)
    assert len(set(gone)) == len(gone)
    assert not held & set(gone)
    assert not {kept.checkpoint for kept in commits[-policy.keep_last :]} & set(gone)
    left = [it for it in commits if it.checkpoint not in gone]
    most = policy.keep_last + len(held)
    if policy.keep_best:
        assert best(left, policy.keep_best)[:1] == best(commits, policy.keep_best)[:1]
        most += policy.keep_best.count
    if policy.keep_every is not None:
        assert firsts(left, policy.keep_every) == firsts(commits, policy.keep_every)
        most += len(firsts(commits, policy.keep_every))
    assert len(left) <= most


@given(HISTORIES, POLICIES, HELD)
def test_doing_it_again_changes_nothing(commits: list[Commit], policy: RetentionPolicy, held: set[str]) -> None:
    gone = expired(commits, policy, held)
    assert expired([it for it in commits if it.checkpoint not in gone], policy, held) == ()


@given(HISTORIES, POLICIES)
def test_step_by_step_keeps_the_same_best_as_all_at_once(commits: list[Commit], policy: RetentionPolicy) -> None:
    alive: list[Commit] = []
    for new in commits:
        alive.append(new)
        gone = expired(alive, policy)
        alive = [it for it in alive if it.checkpoint not in gone]
    if policy.keep_best:
        assert best(alive, policy.keep_best) == best(commits, policy.keep_best)
    if policy.keep_every is not None:
        assert firsts(alive, policy.keep_every) == firsts(commits, policy.keep_every)
