"""A ModelServer from lookup to service, from version to version, and back when a version fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from helpers.crashes import crash_at_every_write
from helpers.operator import Harness
from sojourn_operator.modelserver.controller import ModelServerController
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    DEPLOYMENTS,
    EVENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    INGRESSES,
    MODEL_SERVERS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SERVICES,
    TRAINING_ATTEMPTS,
)
from sojourn_operator.runtime.conditions import get_condition, is_true, reason_of

from .kubernetes import RUN, Deployments, Lookups, Reality

NAME = ("team", "digits")
STORE = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "CheckpointStore",
    "metadata": {"name": "runs", "namespace": "team"},
    "spec": {"pvc": {"claimName": "runs", "path": "sojourn"}},
}


def server(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": "digits", "namespace": "team"},
        "spec": {"model": {"storeRef": {"name": "runs"}, "run": "digits"}, "replicas": 2, **spec},
    }


class World(Harness):
    """A cluster with a store, and what is asked of it again and again."""

    def __init__(self, reality: Reality, **options: Any) -> None:
        super().__init__(
            [ModelServerController],
            [partial(Lookups, reality=reality), partial(Deployments, reality=reality)],
            **options,
        )
        self.reality = reality
        self.create(STORE)

    def served(self) -> str:
        """The revision that the Service turns to."""
        return str(self.one(SERVICES, *NAME)["spec"]["selector"]["sojourn.dev/revision"])

    def status(self) -> dict[str, Any]:
        return dict(self.one(MODEL_SERVERS, *NAME).get("status", {}))

    def set(self, **spec: Any) -> None:
        self.patch(MODEL_SERVERS, *NAME, {"spec": spec})
        self.settle()

    def replicas(self) -> dict[str, int]:
        return {d["metadata"]["name"][7:]: d["spec"]["replicas"] for d in self.world.list(DEPLOYMENTS).items}

    def reasons(self) -> set[str]:
        return {event["reason"] for event in self.world.list(EVENTS).items}


@pytest.fixture
def reality() -> Reality:
    return Reality()


@pytest.fixture
def world(reality: Reality) -> World:
    made = World(reality)
    made.create(server())
    made.settle()
    return made


def test_the_newest_export_is_looked_up_and_served(world: World, reality: Reality) -> None:
    status = world.status()
    assert status["resolved"] | {"request": ""} == {
        "request": "",
        "version": 1,
        "run": RUN,
        "step": 100,
        "manifest": "blake3:" + 64 * "1",
    }
    assert (status["activeVersion"], status["targetVersion"]) == (1, 1)
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    assert status["url"] == "http://digits.team.svc/v1/models/digits"
    assert status["selector"] == f"sojourn.dev/model-server=digits,sojourn.dev/revision={world.served()}"
    assert is_true(world.one(MODEL_SERVERS, *NAME), "Ready")
    assert reason_of(world.one(MODEL_SERVERS, *NAME), "Progressing") == "UpToDate"
    assert world.one(POD_DISRUPTION_BUDGETS, *NAME)["spec"]["maxUnavailable"] == 1
    # The pod that looked it up has gone, and was asked once.
    assert world.names(PODS) == []
    assert len(reality.lookups) == 1
    assert reality.lookups[0][-1] == "team/digits"


def test_children_that_are_deleted_come_back(world: World) -> None:
    for resource in (SERVICES, POD_DISRUPTION_BUDGETS):
        world.delete(resource, *NAME)
    for name in world.names(DEPLOYMENTS):
        world.delete(DEPLOYMENTS, "team", name)
    world.settle()
    assert world.names(SERVICES) == world.names(POD_DISRUPTION_BUDGETS) == ["digits"]
    assert world.replicas() == {world.served(): 2}


def test_a_settled_server_is_left_in_peace(world: World) -> None:
    world.advance(120)
    before = list(world.port.writes)
    world.restart()
    world.advance(1200)
    assert world.port.writes == before


def test_an_update_switches_only_when_the_new_version_is_ready(world: World, reality: Reality) -> None:
    old = world.served()
    reality.exports.append(2)
    reality.slow.add(2)
    world.set(model={"version": 2})
    assert world.served() == old
    assert get_condition(world.one(MODEL_SERVERS, *NAME), "Progressing")["status"] == "True"
    assert sorted(world.replicas().values()) == [2, 2]
    assert world.status()["activeVersion"] == 1
    assert world.status()["targetVersion"] == 2

    reality.slow.clear()
    (new,) = [name for name in world.names(DEPLOYMENTS) if "-v2-" in name]
    world.patch(DEPLOYMENTS, "team", new, {"metadata": {"labels": {"touched": "yes"}}})
    world.settle()
    assert world.served().startswith("v2-")
    # The old pods stay until nobody can be on the way to them any more.
    assert sorted(world.replicas().values()) == [2, 2]
    world.advance(20)
    assert world.replicas() == {old: 0, world.served(): 2}
    assert {"RollingOut", "Switched"} <= world.reasons()


def test_a_version_that_fails_is_rolled_back(world: World, reality: Reality) -> None:
    old = world.served()
    reality.exports.append(2)
    reality.broken.add(2)
    world.set(model={"version": 2})
    world.advance(60)
    found = world.one(MODEL_SERVERS, *NAME)
    assert world.served() == old
    assert world.replicas() == {old: 2}
    assert is_true(found, "Ready")
    assert is_true(found, "RolledBack")
    assert reason_of(found, "RolledBack") == "VersionFailed"
    assert (found["status"]["activeVersion"], found["status"]["targetVersion"]) == (1, 2)
    failed = {entry["version"]: entry for entry in found["status"]["versions"]}[2]
    assert failed["state"] == "Failed"
    assert failed["reason"] == "ProgressDeadlineExceeded"
    assert "RolledBack" in world.reasons()

    # It is not tried again, until the spec asks for something else.
    world.advance(3600)
    assert world.replicas() == {old: 2}
    reality.broken.clear()
    world.set(podTemplate={"annotations": {"try": "again"}})
    assert world.served().startswith("v2-")
    assert not is_true(world.one(MODEL_SERVERS, *NAME), "RolledBack")


def test_a_new_description_of_the_pods_is_rolled_out_like_a_version(world: World, reality: Reality) -> None:
    old = world.served()
    reality.slow.add(1)
    world.set(podTemplate={"nodeSelector": {"disk": "fast"}})
    assert world.served() == old
    assert len(world.names(DEPLOYMENTS)) == 2
    assert len(reality.lookups) == 1


def test_the_first_version_is_given_all_the_time_it_takes(reality: Reality) -> None:
    reality.broken.add(1)
    world = World(reality)
    world.create(server())
    world.advance(3600)
    assert set(world.replicas().values()) == {2}
    assert not is_true(world.one(MODEL_SERVERS, *NAME), "Ready")
    reality.broken.clear()
    world.patch(DEPLOYMENTS, "team", world.names(DEPLOYMENTS)[0], {"metadata": {"labels": {"touched": "yes"}}})
    world.settle()
    assert is_true(world.one(MODEL_SERVERS, *NAME), "Ready")


def test_a_rollback_on_request_needs_no_lookup(world: World, reality: Reality) -> None:
    first = world.served()
    reality.exports.append(2)
    world.set(model={"version": 2})
    world.advance(60)
    asked = len(reality.lookups)
    world.set(rollback={"toVersion": 1})
    world.settle()
    assert world.served() == first
    assert len(reality.lookups) == asked
    assert reason_of(world.one(MODEL_SERVERS, *NAME), "RolledBack") == "Requested"
    world.set(rollback=None)
    assert world.served().startswith("v2-")


def test_a_run_without_an_export_says_so_and_is_looked_at_again(reality: Reality) -> None:
    reality.exports.clear()
    world = World(reality)
    world.create(server())
    world.settle()
    found = world.one(MODEL_SERVERS, *NAME)
    assert reason_of(found, "Ready") == "NoExport"
    assert reason_of(found, "Progressing") == "NoExport"
    assert world.names(DEPLOYMENTS) == []
    assert "NoExport" in world.reasons()
    world.advance(29)
    assert len(reality.lookups) == 1
    reality.exports.append(1)
    world.advance(40)
    assert is_true(world.one(MODEL_SERVERS, *NAME), "Ready")


def test_an_export_by_a_job_of_this_cluster_is_noticed(world: World, reality: Reality) -> None:
    reality.exports.append(2)
    attempt = {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "TrainingAttempt",
        "metadata": {"name": "digits-1", "namespace": "team"},
        "spec": {"jobName": "digits", "jobUID": "1", "number": 1, "job": {"x": 1}, "store": {"uri": "s3://b/p"}},
    }
    world.create(attempt)
    world.patch_status(
        TRAINING_ATTEMPTS, "team", "digits-1", run={"name": "digits", "runId": "r"}, exports=[{"version": 2}]
    )
    world.settle()
    assert world.served().startswith("v2-")


def test_a_pinned_version_stays(reality: Reality) -> None:
    reality.exports.append(2)
    world = World(reality)
    world.create(server(model={"storeRef": {"name": "runs"}, "run": "digits", "version": 1}))
    world.settle()
    assert world.served().startswith("v1-")
    assert "--version=1" in reality.lookups[0]


def test_replicas_change_in_place(world: World) -> None:
    before = world.served()
    world.set(replicas=5)
    assert world.replicas() == {before: 5}
    world.set(replicas=0)
    assert reason_of(world.one(MODEL_SERVERS, *NAME), "Ready") == "ScaledToZero"


def test_a_deployment_with_an_autoscaler_of_its_own_keeps_its_replicas(world: World) -> None:
    name = world.names(DEPLOYMENTS)[0]
    world.create(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "digits", "namespace": "team"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}},
        }
    )
    assert world.names(HORIZONTAL_POD_AUTOSCALERS) == ["digits"]
    world.patch(DEPLOYMENTS, "team", name, {"spec": {"replicas": 7}})
    world.set(replicas=3)
    assert list(world.replicas().values()) == [7]


def test_a_store_that_is_not_there_is_named(reality: Reality) -> None:
    world = World(reality)
    world.delete(CHECKPOINT_STORES, "team", "runs")
    world.create(server())
    world.settle()
    assert reason_of(world.one(MODEL_SERVERS, *NAME), "Ready") == "StoreNotFound"
    world.create(STORE)
    world.settle()
    assert is_true(world.one(MODEL_SERVERS, *NAME), "Ready")


def test_a_service_of_somebody_else_is_left_alone(reality: Reality) -> None:
    world = World(reality)
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "digits", "namespace": "team"}, "spec": {}}
    world.create(theirs)
    world.create(server())
    world.settle()
    assert reason_of(world.one(MODEL_SERVERS, *NAME), "Ready") == "NameTaken"
    assert world.one(SERVICES, *NAME)["spec"] == {}


def test_a_service_that_somebody_else_makes_in_its_place_is_left_alone_too(world: World) -> None:
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "digits", "namespace": "team"}, "spec": {}}
    world.delete(SERVICES, *NAME)
    world.world.create(theirs)
    world.settle()
    assert reason_of(world.one(MODEL_SERVERS, *NAME), "Progressing") == "NameTaken"
    assert world.one(SERVICES, *NAME)["spec"] == {}


def test_what_serves_after_a_rollback_comes_back_when_it_is_deleted(world: World, reality: Reality) -> None:
    old = world.served()
    reality.exports.append(2)
    reality.broken.add(2)
    world.set(model={"version": 2})
    world.advance(60)
    world.delete(DEPLOYMENTS, "team", f"digits-{old}")
    world.advance(60)
    assert world.replicas() == {old: 2}
    assert world.served() == old
    assert reason_of(world.one(MODEL_SERVERS, *NAME), "RolledBack") == "VersionFailed"


def test_an_ingress_comes_and_goes(world: World) -> None:
    world.set(exposure={"ingress": {"host": "models.example.com", "tlsSecretName": "tls"}})
    made = world.one(INGRESSES, *NAME)
    assert made["spec"]["tls"] == [{"hosts": ["models.example.com"], "secretName": "tls"}]
    assert world.status()["url"] == "https://models.example.com/v1/models/digits"
    world.set(exposure={"ingress": {"host": "models.example.com", "tlsSecretName": None}})
    assert "tls" not in world.one(INGRESSES, *NAME)["spec"]
    world.set(exposure=None)
    assert world.get(INGRESSES, *NAME) is None


def _update(world: World, reality: Reality) -> None:
    world.create(server())
    world.settle()
    reality.exports.append(2)
    world.set(model={"version": 2})
    world.advance(60)


def _fail(world: World, reality: Reality) -> None:
    reality.broken.add(2)
    _update(world, reality)


@pytest.mark.parametrize(("story", "serves"), [(_update, "v2-"), (_fail, "v1-")])
def test_whatever_write_it_dies_at_it_serves_the_same(story: Callable[[World, Reality], None], serves: str) -> None:
    """And at no moment does the Service turn to pods that are not ready, once it has turned to ready ones."""

    def play(world: World) -> None:
        story(world, world.reality)
        assert world.served().startswith(serves)
        assert sorted(world.replicas().values()) in ([2], [0, 2])

    struck = crash_at_every_write(lambda: World(Reality(), invariant=_serves_ready_pods), play)
    assert any("Service team/digits" in point for point in struck)
    assert any("Deployment team/digits-v2" in point for point in struck)


def _serves_ready_pods(harness: Harness) -> None:
    found = harness.get(MODEL_SERVERS, *NAME)
    service = harness.get(SERVICES, *NAME)
    if found is None or service is None or "activeVersion" not in found.get("status", {}):
        return
    if not found["status"].get("readyReplicas"):
        return
    revision = service["spec"]["selector"]["sojourn.dev/revision"]
    assert harness.one(DEPLOYMENTS, "team", f"digits-{revision}")["status"]["availableReplicas"] >= 1
