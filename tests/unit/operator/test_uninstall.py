"""Before the operator goes, nothing is left waiting for it, and it is not allowed more than that takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from helpers.manifests import CLUSTER, JOB, MIGRATION, STORE, changed
from helpers.operator import FakeClock, memory_cluster
from helpers.rights import HeldToRights
from sojourn.errors import SojournError
from sojourn_operator.rbac import UNINSTALL, UNINSTALL_CLUSTER, UNINSTALL_HOME
from sojourn_operator.resources import DEPLOYMENTS, MIGRATIONS, PODS, REMOTE_CLUSTERS, TRAINING_JOBS
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import Conflict
from sojourn_operator.uninstall import Uninstall, free_objects, stop_operator

LABELS = {"app.kubernetes.io/component": "operator"}
IT = Uninstall("home", "sojourn", "app.kubernetes.io/component=operator")
OURS, THEIRS = "sojourn.dev/attempts", "example.com/backup"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(clock: FakeClock) -> MemoryCluster:
    return memory_cluster(clock, namespaces=["home", "team", "other"])


def held(world: MemoryCluster) -> HeldToRights:
    return HeldToRights(world, [UNINSTALL, UNINSTALL_CLUSTER], [UNINSTALL_HOME], home="home")


def with_finalizers(manifest: dict[str, Any], *finalizers: str, namespace: str = "team") -> dict[str, Any]:
    changes = {"metadata.finalizers": list(finalizers), "metadata.namespace": namespace}
    if manifest["kind"] == "RemoteCluster":
        del changes["metadata.namespace"]
    return changed(manifest, changes)


def finalizers(world: MemoryCluster, resource: Resource, name: str, namespace: str = "team") -> list[str]:
    obj = world.get(resource, namespace if resource.namespaced else "", name)
    assert obj is not None
    return list(obj["metadata"].get("finalizers", []))


def operator(world: MemoryCluster) -> None:
    meta = {"namespace": "home", "labels": LABELS}
    world.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "sojourn", **meta},
            "spec": {"replicas": 2},
        }
    )
    world.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sojourn-1", **meta}})


def test_our_finalizers_go_and_others_stay(world: MemoryCluster) -> None:
    world.create(with_finalizers(JOB, OURS, THEIRS))
    world.create(with_finalizers(MIGRATION, OURS))
    world.create(with_finalizers(STORE))
    world.create(with_finalizers(CLUSTER, "sojourn.dev/connection"))
    assert free_objects(held(world)) == 3
    assert finalizers(world, TRAINING_JOBS, "digits") == [THEIRS]
    assert finalizers(world, MIGRATIONS, "digits-to-west") == []
    assert finalizers(world, REMOTE_CLUSTERS, "west") == []
    assert free_objects(held(world)) == 0


def test_namespaced_mode_leaves_others_alone(world: MemoryCluster) -> None:
    world.create(with_finalizers(JOB, OURS))
    world.create(with_finalizers(JOB, OURS, namespace="other"))
    world.create(with_finalizers(CLUSTER, OURS))
    assert free_objects(HeldToRights(world, [UNINSTALL]), ["team"]) == 1
    assert finalizers(world, TRAINING_JOBS, "digits", "other") == [OURS]
    assert finalizers(world, REMOTE_CLUSTERS, "west") == [OURS]


def test_an_object_that_changes_meanwhile_is_read_again(world: MemoryCluster) -> None:
    class Busy(HeldToRights):
        refused = 0

        def patch(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
            if self.refused == 0:
                self.refused = 1
                world.patch(resource, namespace, name, {"metadata": {"finalizers": [OURS, THEIRS]}})
            return super().patch(resource, namespace, name, patch)

    world.create(with_finalizers(JOB, OURS))
    with pytest.raises(Conflict):
        world.patch(TRAINING_JOBS, "team", "digits", {"metadata": {"resourceVersion": "0", "finalizers": None}})
    assert free_objects(Busy(world, [UNINSTALL, UNINSTALL_CLUSTER])) == 1
    assert finalizers(world, TRAINING_JOBS, "digits") == [THEIRS]


def test_the_operator_stops_first(world: MemoryCluster, clock: FakeClock) -> None:
    operator(world)

    def sleep(seconds: float) -> None:
        clock.advance(seconds)
        if clock.monotonic() > 3:
            world.delete(PODS, "home", "sojourn-1")

    stop_operator(held(world), IT, clock, sleep)
    deployment = world.get(DEPLOYMENTS, "home", "sojourn")
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 0
    assert world.list(PODS, "home").items == []


def test_an_operator_that_does_not_stop_is_named(world: MemoryCluster, clock: FakeClock) -> None:
    operator(world)
    with pytest.raises(SojournError, match="do not end: sojourn-1"):
        stop_operator(held(world), IT, clock, clock.advance)


def test_no_operator_is_no_trouble(world: MemoryCluster, clock: FakeClock) -> None:
    stop_operator(held(world), IT, clock, clock.advance)
