"""What becomes of a key whose reconcile fails, and a manager whose threads do it all."""

from __future__ import annotations

import time
from threading import Event

import pytest
from prometheus_client import CollectorRegistry

from helpers.operator import FakeClock
from helpers.port_contract import RESOURCES, config_map
from sojourn_operator.resources import CONFIG_MAPS
from sojourn_operator.runtime.clock import SystemClock
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.manager import Manager, Pace
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.metrics import Metrics
from sojourn_operator.runtime.objects import Key
from sojourn_operator.runtime.port import Conflict, Throttled, Unavailable
from sojourn_operator.runtime.queue import Backoff
from sojourn_operator.runtime.watching import itself
from sojourn_operator.runtime.work import Work

KEY = Key("default", "one")


class Scripted:
    """Does what it is told to, one thing at each reconcile."""

    name = "scripted"
    watches = (Watch(CONFIG_MAPS, itself),)

    def __init__(self, *script: Exception | float | None) -> None:
        self._script = list(script)
        self.done = Event()

    def reconcile(self, key: Key) -> float | None:
        step = self._script.pop(0) if self._script else None
        if isinstance(step, Exception):
            raise step
        self.done.set()
        return step


@pytest.mark.parametrize(
    ("outcome", "wait", "counted"),
    [
        (None, None, "ok"),
        (30.0, 30.0, "ok"),
        (Conflict("stale"), 0.1, "conflict"),
        (Unavailable("down"), 1.0, "error"),
        (Throttled("slow down", retry_after=7.0), 7.0, "error"),
        (KeyError("a mistake of ours"), 1.0, "error"),
    ],
    ids=str,
)
def test_a_key_comes_again_when_its_outcome_asks_for_it(
    outcome: Exception | float | None, wait: float | None, counted: str
) -> None:
    clock, registry = FakeClock(), CollectorRegistry()
    work = Work(Scripted(outcome), clock, Metrics(registry), Backoff(first=1.0, cap=60.0))
    work.queue.add(KEY)
    assert work.step() == KEY
    assert work.queue.next_due() == wait
    labels = {"controller": "scripted", "outcome": counted}
    assert registry.get_sample_value("sojourn_operator_reconciles_total", labels) == 1


def test_a_mistake_in_a_test_is_not_hidden() -> None:
    work = Work(Scripted(KeyError("x")), FakeClock(), Metrics(CollectorRegistry()), Backoff(), strict=True)
    work.queue.add(KEY)
    with pytest.raises(KeyError):
        work.step()


def test_threads_watch_work_survive_a_mistake_and_end() -> None:
    clock = SystemClock()
    world = MemoryCluster(RESOURCES, clock, watch_seconds=0.2)
    controller = Scripted(KeyError("a mistake of ours"), Unavailable("down"))
    manager = Manager(clock, Metrics(CollectorRegistry()), Pace(workers=2, backoff=Backoff(first=0.01, cap=0.01)))
    manager.local(world)
    manager.add(controller)
    manager.build()
    manager.start()
    world.create(config_map("default", "one"))
    assert controller.done.wait(10)
    assert manager.is_alive
    assert manager.is_synced
    started = time.monotonic()
    manager.stop()
    assert time.monotonic() - started < 5
