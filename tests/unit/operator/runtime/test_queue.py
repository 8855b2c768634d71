"""The keyed queue: once in line, once in work, later after failures."""

from __future__ import annotations

import pytest

from helpers.operator import FakeClock
from sojourn_operator.runtime.queue import Backoff, KeyedQueue


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> KeyedQueue[str]:
    return KeyedQueue(clock, Backoff(first=1, cap=8))


def drain(queue: KeyedQueue[str]) -> list[str]:
    found = []
    while (taken := queue.take()) is not None:
        found.append(taken[0])
        queue.done(taken[0])
    return found


def test_a_key_stands_in_line_once(queue: KeyedQueue[str]) -> None:
    for key in ("a", "b", "a"):
        queue.add(key)
    assert drain(queue) == ["a", "b"]


def test_a_key_in_work_is_not_given_out_but_not_forgotten(queue: KeyedQueue[str]) -> None:
    queue.add("a")
    assert queue.take() is not None
    queue.add("a")
    assert queue.take() is None
    queue.done("a")
    assert drain(queue) == ["a"]


def test_a_delayed_key_comes_when_it_is_due_or_when_something_happens(queue: KeyedQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    clock.advance(4.9)
    assert drain(queue) == []
    clock.advance(0.2)
    assert drain(queue) == ["a"]
    clock.advance(60)
    assert drain(queue) == []
    queue.add_after("a", 10)
    queue.add("a")
    assert drain(queue) == ["a"]
    assert queue.next_due() is None


def test_failures_double_the_wait_up_to_a_cap_and_success_resets_it(queue: KeyedQueue[str]) -> None:
    assert [queue.retry("a") for _ in range(6)] == [1, 2, 4, 8, 8, 8]
    assert queue.retry("b", at_least=30) == 30
    queue.forget("a")
    assert queue.retry("a") == 1


def test_it_says_how_long_a_key_waited(queue: KeyedQueue[str], clock: FakeClock) -> None:
    queue.add("a")
    clock.advance(3)
    assert queue.take() == ("a", 3)


def test_a_closed_queue_gives_out_nothing(queue: KeyedQueue[str]) -> None:
    queue.add("a")
    queue.close()
    assert queue.take(timeout=60) is None
