"""How fast requests go, what refusals mean, and what is written how often."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.faults import FaultyPort
from helpers.operator import FakeClock, Harness, memory_cluster
from helpers.port_contract import config_map
from sojourn_operator.context import Context
from sojourn_operator.resources import CHECKPOINT_STORES, CONFIG_MAPS
from sojourn_operator.runtime.actions import Patch, Plan, SetStatus, perform
from sojourn_operator.runtime.answers import error_of
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.indexer import Indexer
from sojourn_operator.runtime.limiter import RateLimiter
from sojourn_operator.runtime.objects import Key
from sojourn_operator.runtime.port import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    Missing,
    Throttled,
    Unauthorized,
    Unavailable,
)
from sojourn_operator.runtime.selectors import parse_selector
from sojourn_operator.runtime.status import StatusWriter
from sojourn_operator.runtime.watching import itself


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    clock, slept = FakeClock(), []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        clock.advance(seconds)

    limiter = RateLimiter(10, 3, clock, sleep)
    for _ in range(6):
        limiter.wait()
    assert slept == [0.1, 0.1, 0.1]
    limiter.hold(5)
    limiter.wait()
    assert slept[3:] == [5.0]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (400, {"reason": "BadRequest"}, Invalid),
        (401, {"reason": "Unauthorized"}, Unauthorized),
        (403, {"message": 'pods is forbidden: User "x" cannot list resource "pods"'}, Forbidden),
        (403, {"message": 'pods "x" is forbidden: exceeded quota: q'}, Invalid),
        (403, {"message": "no", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}, Missing),
        (404, {"reason": "NotFound"}, Missing),
        (409, {"reason": "AlreadyExists"}, AlreadyExists),
        (409, {"reason": "Conflict"}, Conflict),
        (410, {"reason": "Expired"}, Expired),
        (422, {"reason": "Invalid"}, Invalid),
        (500, {"reason": "InternalError"}, Unavailable),
        (503, {}, Unavailable),
    ],
)
def test_refusals_are_told_apart(code: int, status: dict[str, Any], kind: type[ClusterError]) -> None:
    assert type(error_of("get /x", code, json.dumps(status).encode(), {})) is kind


def test_a_throttling_server_says_when_to_come_back() -> None:
    error = error_of("get /x", 429, b"slow down", {"Retry-After": "7"})
    assert isinstance(error, Throttled)
    assert error.retry_after == 7
    other = error_of("get /x", 429, b"", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert isinstance(other, Throttled)
    assert other.retry_after == 1


def test_no_selector_is_guessed() -> None:
    with pytest.raises(ValueError, match="not a label selector"):
        parse_selector("a in (b")


def store() -> dict[str, Any]:
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "CheckpointStore",
        "metadata": {"name": "runs", "namespace": "default"},
        "spec": {"pvc": {"claimName": "runs"}},
    }


def test_a_status_is_written_when_it_differs_and_progress_now_and_then() -> None:
    harness = Harness([])
    cluster = harness.manager.local(harness.port)
    harness.create(store())

    def write(**status: Any) -> float | None:
        about = harness.one(CHECKPOINT_STORES, "default", "runs")
        return perform(Plan([SetStatus(CHECKPOINT_STORES, about, status, slow=("freeBytes",))]), cluster)

    assert write(freeBytes=1) is None
    assert write(freeBytes=1) is None
    assert len(harness.port.writes) == 1
    assert write(freeBytes=2) == 10
    harness.clock.advance(4)
    assert write(freeBytes=3) == 6
    assert len(harness.port.writes) == 1
    assert write(freeBytes=3, uri="file:///x") is None
    assert len(harness.port.writes) == 2
    harness.clock.advance(10)
    assert write(freeBytes=4) is None
    assert harness.one(CHECKPOINT_STORES, "default", "runs")["status"] == {"freeBytes": 4}


def test_progress_of_many_takes_turns_and_a_transition_takes_none() -> None:
    clock = FakeClock()
    port = FaultyPort(memory_cluster(clock))
    writer = StatusWriter(port, clock, slow_seconds=10, slow_rate=2)
    stores = [port.create({**store(), "metadata": {"name": f"s{n}", "namespace": "default"}}) for n in range(4)]

    def write(number: int, **status: Any) -> float | None:
        about = port.get(CHECKPOINT_STORES, "default", f"s{number}") or {}
        version = about["metadata"]["resourceVersion"]
        return writer.write(CHECKPOINT_STORES, about, {**about.get("status", {}), **status}, ["freeBytes"], version)[1]

    assert [write(number, freeBytes=1) for number in range(4)] == [None, 0.5, 1.0, 1.5]
    # Whoever asks again before its turn keeps it.
    assert write(3, freeBytes=2) == 1.5
    assert write(2, uri="s3://x/y") is None
    clock.advance(0.5)
    assert [write(number, freeBytes=3) for number in (1, 3)] == [None, 1.0]
    clock.advance(1.0)
    assert write(3, freeBytes=4) is None
    # Nobody has waited for ten seconds: the first is at once again.
    clock.advance(10.0)
    assert [write(number, freeBytes=5) for number in (1, 0)] == [None, 0.5]
    assert len(stores) == 4


def test_conditional_writes_of_one_plan_follow_each_other() -> None:
    clock = FakeClock()
    port = FaultyPort(memory_cluster(clock))
    cluster = Harness([], clock=clock, rights=False).manager.local(port)
    version = port.create(config_map("default", "one"))["metadata"]["resourceVersion"]
    patches = [Patch(CONFIG_MAPS, "default", "one", {"data": {"a": str(n)}}, version) for n in range(3)]
    perform(Plan(patches), cluster)
    assert (port.get(CONFIG_MAPS, "default", "one") or {})["data"] == {"a": "2"}
    with pytest.raises(Conflict):
        perform(Plan(patches[:1]), cluster)


class Stores:
    """A controller that does nothing about stores, but to have them in the cache."""

    name = "stores"
    watches = (Watch(CHECKPOINT_STORES, itself),)

    def __init__(self, context: Context) -> None:
        del context

    def reconcile(self, key: Key) -> None:
        del key


def test_what_was_written_is_known_before_the_watch_tells() -> None:
    """Otherwise an event about something else, on its way meanwhile, would lead to the same write and a conflict."""
    contexts: list[Context] = []

    def make(context: Context) -> Stores:
        contexts.append(context)
        return Stores(context)

    harness = Harness([make])
    harness.create(store())
    harness.settle()
    cluster = contexts[-1].cluster
    cache = cluster.cached(CHECKPOINT_STORES)

    def write(**status: Any) -> None:
        about = cache.get("default", "runs")
        assert about is not None
        perform(Plan([SetStatus(CHECKPOINT_STORES, about, status)]), cluster)

    write(freeBytes=1)
    write(freeBytes=2)
    assert (cache.get("default", "runs") or {})["status"] == {"freeBytes": 2}
    # Somebody else's change is on its way: what is written on top of the old one is refused, and changes nothing here.
    harness.patch_status(CHECKPOINT_STORES, "default", "runs", freeBytes=3)
    with pytest.raises(Conflict):
        write(freeBytes=4)
    assert (cache.get("default", "runs") or {})["status"] == {"freeBytes": 2}
    harness.settle()
    assert (cache.get("default", "runs") or {})["status"] == {"freeBytes": 3}


def test_a_write_whose_answer_comes_after_the_watch_does_not_bring_the_past_back() -> None:
    cache = Indexer()
    obj = config_map("default", "one", resourceVersion="1", uid="u")
    later = config_map("default", "one", resourceVersion="3", uid="u")
    cache.put(later)
    cache.succeed("1", config_map("default", "one", resourceVersion="2", uid="u"))
    assert cache.get("default", "one") == later
    cache.remove(Key("default", "one"))
    cache.succeed("3", obj)
    assert cache.get("default", "one") is None
