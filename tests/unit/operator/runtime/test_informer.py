"""Informers: what a watch tells, what a list makes good, and what is kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from helpers.operator import FakeClock, memory_cluster
from helpers.port_contract import config_map
from sojourn_operator.resources import CONFIG_MAPS, RAY_JOBS
from sojourn_operator.runtime.indexer import Indexer, slim
from sojourn_operator.runtime.informer import Informer, Scope
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.objects import Key, Object, key_of
from sojourn_operator.runtime.port import Change, Expired, Forbidden, Missing, Page, Unavailable
from sojourn_operator.runtime.queue import Backoff


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(clock: FakeClock) -> MemoryCluster:
    return memory_cluster(clock, namespaces=["other"])


def informer(world: Any, clock: FakeClock, **scope: Any) -> tuple[Informer, list[str]]:
    told: list[str] = []
    made = Informer(world, Scope(CONFIG_MAPS, **scope), clock, Indexer(), resync_seconds=600)
    made.listen(lambda obj: told.append(obj["metadata"]["name"]))
    return made, told


def test_it_tells_what_is_there_and_what_changes(world: MemoryCluster, clock: FakeClock) -> None:
    world.create(config_map("default", "one"))
    made, told = informer(world, clock)
    made.follow()
    world.patch(CONFIG_MAPS, "default", "one", {"data": {"a": "1"}})
    world.create(config_map("other", "two"))
    world.delete(CONFIG_MAPS, "default", "one")
    made.follow()
    assert told == ["one", "one", "two", "one"]
    assert [obj["metadata"]["name"] for obj in made.cache.list()] == ["two"]
    assert made.is_synced


def test_what_was_missed_is_told_after_an_expiry(world: MemoryCluster, clock: FakeClock) -> None:
    for name in ("changed", "gone", "same"):
        world.create(config_map("default", name))
    made, told = informer(world, clock)
    made.follow()
    told.clear()
    world.patch(CONFIG_MAPS, "default", "changed", {"data": {"a": "1"}})
    world.delete(CONFIG_MAPS, "default", "gone")
    world.create(config_map("default", "new"))
    world.compact()
    with pytest.raises(Expired):
        made.follow()
    made.follow()
    assert sorted(told) == ["changed", "gone", "new"]


def test_everything_is_told_again_now_and_then(world: MemoryCluster, clock: FakeClock) -> None:
    world.create(config_map("default", "one"))
    made, told = informer(world, clock)
    made.follow()
    clock.advance(599)
    made.follow()
    assert told == ["one"]
    clock.advance(1)
    made.follow()
    assert told == ["one", "one"]


def test_informers_of_several_namespaces_share_a_cache(world: MemoryCluster, clock: FakeClock) -> None:
    cache = Indexer()
    parts = [Informer(world, Scope(CONFIG_MAPS, namespace=name), clock, cache) for name in ("default", "other")]
    world.create(config_map("default", "one"))
    world.create(config_map("other", "two"))
    for part in parts:
        part.follow()
    world.delete(CONFIG_MAPS, "other", "two")
    for part in parts:
        part.sync()
    assert [obj["metadata"]["name"] for obj in cache.list()] == ["one"]


class Refusing:
    """A port whose lists fail with one error after another, and then are empty."""

    name = ""

    def __init__(self, *errors: Exception, stop: Event) -> None:
        self._errors = list(errors)
        self._stop = stop
        self.lists = 0

    def list(self, *scope: object) -> Page:
        self.lists += 1
        if self._errors:
            raise self._errors.pop(0)
        self._stop.set()
        return Page([], "1")

    def watch(self, *scope: object) -> Iterator[Change]:
        return iter(())


def test_errors_are_waited_out(clock: FakeClock) -> None:
    stop = Event()
    port = Refusing(Unavailable("down"), Forbidden("no"), Missing("no such kind"), stop=stop)
    made = Informer(port, Scope(CONFIG_MAPS), clock, Indexer())  # type: ignore[arg-type]
    made.run(stop, Backoff(first=0.001, cap=0.001))
    assert port.lists == 4
    assert made.is_synced


@pytest.mark.parametrize("error", [Missing("no such kind"), Forbidden("no")])
def test_a_kind_that_need_not_be_installed_counts_as_empty(clock: FakeClock, error: Exception) -> None:
    class Stop(Event):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return True

    made = Informer(Refusing(error, stop=Stop()), Scope(RAY_JOBS, optional=True), clock, Indexer())  # type: ignore[arg-type]
    made.run(Stop(), Backoff())
    assert made.is_synced


def test_objects_are_found_by_namespace_label_and_owner() -> None:
    cache = Indexer()
    owned = {"ownerReferences": [{"uid": "u1"}], "labels": {"a": "b"}}
    cache.put(config_map("default", "one", **owned))
    cache.put(config_map("other", "two", labels={"a": "c"}))

    def names(found: Any) -> list[str]:
        return [obj["metadata"]["name"] for obj in found]

    assert names(cache.list("default")) == ["one"]
    assert names(cache.list(labels={"a": "c"})) == ["two"]
    assert names(cache.owned_by("u1")) == ["one"]
    cache.put(config_map("default", "one"))
    assert names(cache.owned_by("u1")) == []
    assert len(cache) == 2


def test_labels_of_ours_lead_to_their_objects() -> None:
    cache = Indexer()
    for namespace in ("default", "other"):
        cache.put(config_map(namespace, "one", labels={"sojourn.dev/job": "a", "x": "y"}))
        cache.put(config_map(namespace, "two", labels={"sojourn.dev/job": "b", "x": "y"}))

    def keys(namespace: str, **labels: str) -> list[str]:
        named = {name.replace("job", "sojourn.dev/job"): value for name, value in labels.items()}
        return ["/".join(key_of(obj)) for obj in cache.list(namespace, named)]

    assert keys("default", job="a") == ["default/one"]
    assert keys("", job="a") == ["default/one", "other/one"]
    assert keys("default", x="y", job="b") == ["default/two"]
    assert keys("default", x="z", job="b") == []
    cache.put(config_map("default", "one", labels={"sojourn.dev/job": "b"}))
    assert keys("", job="a") == ["other/one"]
    cache.remove(Key("default", "two"))
    assert keys("default", job="b") == ["default/one"]


def test_what_no_reconciler_reads_is_not_kept() -> None:
    obj: Object = {**config_map("default", "one"), "data": {"long": "x" * 1000}}
    obj["metadata"]["managedFields"] = [{"manager": "kubectl"}]  # type: ignore[index]
    assert slim(obj) == {**config_map("default", "one"), "data": {"long": "x" * 1000}}
