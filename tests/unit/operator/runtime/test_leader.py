"""Leader election on the cluster in memory, with clocks that tests move."""

from __future__ import annotations

from threading import Event

import pytest

from helpers.faults import FaultyPort
from helpers.operator import FakeClock, memory_cluster
from sojourn_operator.resources import LEASES
from sojourn_operator.runtime.leader import Elector, Term
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.port import ClusterPort

TERM = Term(lease=15, renew_deadline=10, retry=0.001)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(clock: FakeClock) -> MemoryCluster:
    return memory_cluster(clock)


def elector(port: ClusterPort, identity: str, clock: FakeClock) -> Elector:
    return Elector(port, ("default", "lease"), identity, clock, TERM)


def test_one_leads_and_the_other_takes_over_when_it_falls_silent(world: MemoryCluster, clock: FakeClock) -> None:
    one, two = elector(world, "one", clock), elector(world, "two", clock)
    assert one.try_once()
    assert not two.try_once()
    clock.advance(10)
    assert one.try_once()
    assert not two.try_once()
    clock.advance(14)
    assert not two.try_once()
    clock.advance(1)
    assert two.try_once()
    assert not one.try_once()
    lease = world.get(LEASES, "default", "lease")
    assert lease is not None
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("two", 1)


def test_a_released_lease_is_free_at_once(world: MemoryCluster, clock: FakeClock) -> None:
    one, two = elector(world, "one", clock), elector(world, "two", clock)
    assert one.try_once()
    two.release()
    assert not two.try_once()
    one.release()
    assert two.try_once()


def test_of_two_that_try_at_once_one_wins(world: MemoryCluster, clock: FakeClock) -> None:
    assert elector(world, "dead", clock).try_once()
    lease = world.get(LEASES, "default", "lease")

    class Stale(FaultyPort):
        def get(self, *place: object) -> object:  # type: ignore[override]
            return lease

    one, two = (elector(Stale(world), name, clock) for name in ("one", "two"))
    assert (one.try_once(), two.try_once()) == (False, False)
    clock.advance(15)
    assert (one.try_once(), two.try_once()) == (True, False)


def test_a_leader_that_cannot_renew_gives_up(world: MemoryCluster) -> None:
    class Ticking(FakeClock):
        def monotonic(self) -> float:
            self.advance(1)
            return super().monotonic()

    port = FaultyPort(world)
    one = elector(port, "one", Ticking())
    assert one.acquire(Event())
    port.down = True
    assert not one.hold(Event())


def test_a_leader_that_is_robbed_gives_up(world: MemoryCluster, clock: FakeClock) -> None:
    one = elector(world, "one", clock)
    assert one.acquire(Event())
    world.patch(LEASES, "default", "lease", {"spec": {"holderIdentity": "two"}})
    assert not one.hold(Event())


def test_who_is_told_to_stop_stops(world: MemoryCluster, clock: FakeClock) -> None:
    stop = Event()
    stop.set()
    assert not elector(world, "one", clock).acquire(stop)
    assert elector(world, "one", clock).hold(stop)
