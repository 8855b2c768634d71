"""The operator's side of a transfer: pods, addresses, conditions, ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from helpers.crashes import crash_at_every_write
from helpers.mover_jobs import JobRunner, Pods
from helpers.operator import Harness
from sojourn_operator.checkpointtransfer.controller import CheckpointTransferController
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    CHECKPOINT_TRANSFERS,
    EVENTS,
    JOBS,
    NETWORK_POLICIES,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from sojourn_operator.runtime.conditions import get_condition, is_true
from sojourn_operator.runtime.objects import Object

PARTS = (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, NETWORK_POLICIES)
SEND = {"role": "Send", "source": {"storeRef": {"name": "runs"}, "run": "digits"}}
RECEIVE = {"role": "Receive", "target": {"storeRef": {"name": "runs"}}}


def transfer(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "CheckpointTransfer",
        "metadata": {"name": "away", "namespace": "team"},
        "spec": spec,
    }


class World(Harness):
    def __init__(self, pods: Pods | None = None, **options: Any) -> None:
        self.pods = pods or Pods()
        super().__init__([CheckpointTransferController], [partial(JobRunner, pods=self.pods)], **options)

    def add_store(self, name: str = "runs", ready: bool = True, **spec: Any) -> None:
        body = spec or {"pvc": {"claimName": name}}
        self.create(
            {
                "apiVersion": "sojourn.dev/v1alpha1",
                "kind": "CheckpointStore",
                "metadata": {"name": name, "namespace": "team"},
                "spec": body,
            }
        )
        condition = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "Probed",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        self.patch_status(CHECKPOINT_STORES, "team", name, conditions=[condition])

    def expose(self, number: int = 30123) -> None:
        """What the API server does with a NodePort Service."""
        port = {"name": "mover", "port": 8443, "targetPort": 8443, "protocol": "TCP", "nodePort": number}
        self.patch(SERVICES, "team", "away-mover", {"spec": {"ports": [port]}})

    @property
    def transfer(self) -> Object:
        return self.one(CHECKPOINT_TRANSFERS, "team", "away")

    def say(self, **status: Any) -> None:
        self.patch_status(CHECKPOINT_TRANSFERS, "team", "away", **status)
        self.settle()

    def ready(self) -> tuple[str, str]:
        found = get_condition(self.transfer, "Ready")
        assert found is not None
        return found["status"], found["reason"]

    def begin(self, **spec: Any) -> None:
        self.create(transfer(**spec))
        self.settle()


def running(**spec: Any) -> World:
    world = World()
    world.add_store()
    world.begin(**spec)
    return world


def test_a_listener_gets_a_pod_a_service_and_an_address() -> None:
    world = running(**SEND)
    for resource in (*PARTS, SERVICES, JOBS):
        assert world.names(resource) == ["away-mover"]
    assert world.ready() == ("False", "NoAddress")
    world.expose()
    world.settle()
    assert world.ready() == ("True", "MoverRunning")
    status = world.transfer["status"]
    assert (status["address"], status["port"], status["phase"]) == ("198.18.0.11", 30123, "Pending")
    pod = world.one(JOBS, "team", "away-mover")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "away-mover"
    assert pod["automountServiceAccountToken"] is True
    names = {sysctl["name"] for sysctl in pod["securityContext"]["sysctls"]}
    assert names == {"net.ipv4.tcp_wmem", "net.ipv4.tcp_rmem"}
    (container,) = pod["containers"]
    assert container["command"] == ["python", "-m", "sojourn.mover", "send"]


def test_its_rights_are_for_this_one_object() -> None:
    world = running(**SEND)
    rules = world.one(ROLES, "team", "away-mover")["rules"]
    assert {(tuple(rule["resources"]), tuple(rule["resourceNames"]), tuple(rule["verbs"])) for rule in rules} == {
        (("checkpointtransfers",), ("away",), ("get", "watch")),
        (("checkpointtransfers/status",), ("away",), ("patch",)),
    }


def test_who_does_not_listen_has_no_service_and_no_open_port() -> None:
    for spec in (RECEIVE, {**SEND, "listener": "Target"}, {**SEND, "relay": {"storeRef": {"uri": "s3://b/r"}}}):
        world = running(**spec)
        assert world.names(SERVICES) == []
        assert world.one(NETWORK_POLICIES, "team", "away-mover")["spec"]["ingress"] == []
        assert world.ready() == ("True", "MoverRunning")
        assert "address" not in world.transfer["status"]


@pytest.mark.parametrize(
    ("exposure", "kind", "place"),
    [
        ({"type": "ClusterIP"}, "ClusterIP", ("away-mover.team.svc", 8443)),
        ({"type": "Address", "address": "203.0.113.7", "port": 31000}, "ClusterIP", ("203.0.113.7", 31000)),
        ({"type": "Address", "address": "movers.example.com"}, "ClusterIP", ("movers.example.com", 8443)),
    ],
)
def test_other_ways_to_be_reached(exposure: dict[str, Any], kind: str, place: tuple[str, int]) -> None:
    world = running(**RECEIVE, listener="Target", exposure=exposure)
    assert world.one(SERVICES, "team", "away-mover")["spec"]["type"] == kind
    status = world.transfer["status"]
    assert (status["address"], status["port"]) == place


def test_a_load_balancer_is_waited_for() -> None:
    world = running(**SEND, exposure={"type": "LoadBalancer"})
    assert world.ready() == ("False", "NoAddress")
    world.patch_status(SERVICES, "team", "away-mover", loadBalancer={"ingress": [{"hostname": "lb.example.com"}]})
    world.settle()
    assert (world.transfer["status"]["address"], world.transfer["status"]["port"]) == ("lb.example.com", 8443)


def test_a_store_that_is_missing_or_not_ready_is_waited_for() -> None:
    world = World()
    world.begin(**SEND)
    assert world.ready() == ("False", "StoreNotFound")
    world.add_store(ready=False)
    world.settle()
    assert world.ready()[1] == "StoreNotReady"
    assert world.names(JOBS) == []
    condition = {**get_condition(world.one(CHECKPOINT_STORES, "team", "runs"), "Ready"), "status": "True"}  # type: ignore[dict-item]
    world.patch_status(CHECKPOINT_STORES, "team", "runs", conditions=[condition])
    world.settle()
    assert world.names(JOBS) == ["away-mover"]


def test_a_relay_has_credentials_of_its_own() -> None:
    world = World()
    world.add_store()
    world.add_store("between", uri="s3://bucket/between", secretRef={"name": "between-keys"})
    world.begin(**SEND, relay={"storeRef": {"name": "between"}})
    (container,) = world.one(JOBS, "team", "away-mover")["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"prefix": "SOJOURN_RELAY_", "secretRef": {"name": "between-keys"}}]
    assert {"name": "SOJOURN_RELAY_STORE", "value": "s3://bucket/between"} in container["env"]


def test_what_a_user_adds_to_the_pod() -> None:
    extra = {"nodeSelector": {"disk": "fast"}, "serviceAccountName": "mine", "labels": {"team": "a"}}
    world = running(**SEND, podTemplate=extra, image="example.com/mover:1", resources={"memory": "2Gi"})
    template = world.one(JOBS, "team", "away-mover")["spec"]["template"]
    pod = template["spec"]
    assert (pod["nodeSelector"], pod["serviceAccountName"]) == ({"disk": "fast"}, "mine")
    assert template["metadata"]["labels"]["team"] == "a"
    assert pod["containers"][0]["image"] == "example.com/mover:1"
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "2Gi"}
    assert world.names(SERVICE_ACCOUNTS) == []
    assert world.one(ROLE_BINDINGS, "team", "away-mover")["subjects"][0]["name"] == "mine"


def test_trouble_that_the_mover_tells_is_in_ready_and_passes() -> None:
    world = running(**RECEIVE)
    world.say(phase="Waiting", reason="StoreFull", message="no room", hint="Make some.")
    assert world.ready() == ("False", "StoreFull")
    assert get_condition(world.transfer, "Ready")["message"] == "no room Make some."  # type: ignore[index]
    world.say(phase="Running", reason=None, message=None, hint=None)
    assert world.ready() == ("True", "MoverRunning")


def test_a_pod_that_cannot_start_is_told_of() -> None:
    world = World(Pods(waiting=("ErrImagePull", "no such image")))
    world.add_store()
    world.begin(**SEND)
    assert world.ready() == ("False", "ErrImagePull")


def test_a_hand_over_from_verified_to_complete() -> None:
    world = running(**RECEIVE, mode="Move")
    world.say(phase="Verified", verified={"round": 1, "files": 3, "bytes": 5000})
    assert is_true(world.transfer, "Verified")
    world.pods.answer = lambda job: {}
    world.say(phase="Succeeded", began={"runId": "r", "run": "team/digits-r"})
    world.advance(2)
    assert is_true(world.transfer, "Complete")
    events = {event["reason"] for event in world.world.list(EVENTS, "team").items}
    assert {"Verified", "Complete"} <= events
    job = world.one(JOBS, "team", "away-mover")
    world.delete(JOBS, "team", "away-mover")
    world.settle()
    assert job["metadata"]["name"] not in world.names(JOBS)


def test_a_listener_that_is_done_is_reached_by_nobody() -> None:
    world = running(**SEND, mode="Move")
    world.expose()
    world.settle()
    world.pods.answer = lambda job: {}
    fenced = {"entry": 9, "digest": "blake3:" + 64 * "0", "step": 40, "term": 1}
    world.say(phase="Succeeded", fenced=fenced)
    assert world.names(SERVICES) == []
    assert is_true(world.transfer, "Fenced")
    message = get_condition(world.transfer, "Complete")["message"]  # type: ignore[index]
    assert message == "the run was handed over at step 40"


def test_a_failure_is_final() -> None:
    world = running(**SEND)
    world.pods.answer = lambda job: "there is no run"
    world.say(phase="Failed", reason="NotFound", message="there is no run", hint="Look.")
    assert is_true(world.transfer, "Failed")
    assert get_condition(world.transfer, "Failed")["reason"] == "NotFound"  # type: ignore[index]


def test_a_mover_that_dies_without_a_word_is_failed_by_its_job() -> None:
    world = World(Pods(lambda job: "SOJOURN_STORE is not set"))
    world.add_store()
    world.begin(**SEND)
    failed = get_condition(world.transfer, "Failed")
    assert failed is not None
    assert failed["reason"] == "MoverFailed"
    assert "SOJOURN_STORE is not set" in failed["message"]
    assert world.transfer["status"]["phase"] == "Failed"


def test_a_mover_that_ended_well_and_did_not_say_so_is_asked_again() -> None:
    world = World(Pods(lambda job: {}))
    world.add_store()
    world.create(transfer(**SEND))
    world.advance(20)
    assert len(world.pods.jobs) == 1
    world.advance(80)
    assert len(world.pods.jobs) > 1


@pytest.mark.parametrize("resource", [JOBS, SERVICES, ROLES, NETWORK_POLICIES])
def test_a_child_that_is_deleted_comes_back(resource: Any) -> None:
    world = running(**SEND)
    world.delete(resource, "team", "away-mover")
    world.settle()
    assert world.names(resource) == ["away-mover"]


def test_deletion_waits_for_the_mover_and_not_for_ever() -> None:
    for helpful in (True, False):
        world = running(**SEND)
        world.delete(CHECKPOINT_TRANSFERS, "team", "away")
        world.settle()
        assert world.names(CHECKPOINT_TRANSFERS) == ["away"]
        if helpful:
            world.pods.answer = lambda job: {}
            world.advance(6)
        else:
            world.advance(50)
            assert world.names(CHECKPOINT_TRANSFERS) == ["away"]
            world.advance(20)
        assert world.names(CHECKPOINT_TRANSFERS) == []
        assert [world.names(resource) for resource in (*PARTS, SERVICES, JOBS, PODS)] == [[]] * 7


def test_killed_at_every_write() -> None:
    def play(world: Harness) -> None:
        assert isinstance(world, World)
        world.add_store()
        world.begin(**SEND, mode="Move", exposure={"type": "ClusterIP"})
        world.say(phase="Running")
        world.pods.answer = lambda job: {}
        world.say(phase="Succeeded", fenced={"entry": 9, "step": 40})
        world.delete(CHECKPOINT_TRANSFERS, "team", "away")
        world.settle()
        assert world.names(CHECKPOINT_TRANSFERS) == []

    assert len(crash_at_every_write(World, play)) > 20
