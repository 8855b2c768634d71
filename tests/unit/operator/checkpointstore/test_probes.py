"""When stores are tried, and what is said of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from helpers.crashes import crash_at_every_write
from helpers.mover_jobs import JobRunner, Pods
from helpers.operator import Harness
from sojourn_operator.checkpointstore.controller import CheckpointStoreController
from sojourn_operator.context import Context
from sojourn_operator.resources import CHECKPOINT_STORES, EVENTS, JOBS, PERSISTENT_VOLUME_CLAIMS, PODS
from sojourn_operator.runtime.conditions import get_condition, is_true
from sojourn_operator.runtime.objects import Object

GOOD = {"ready": True, "reason": "Probed", "message": "the store can hold runs", "storeId": "id-1", "freeBytes": 5}
BAD = {"ready": False, "reason": "NoExclusiveCreate", "message": "two won", "hint": "Use another."}


def store(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "CheckpointStore",
        "metadata": {"name": "runs", "namespace": "team"},
        "spec": spec or {"pvc": {"claimName": "runs", "path": "sojourn"}},
    }


def claim(*modes: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "runs", "namespace": "team"},
        "spec": {"accessModes": list(modes or ("ReadWriteMany",))},
    }


class World(Harness):
    def __init__(self, pods: Pods, **options: Any) -> None:
        super().__init__([self._controller], [partial(JobRunner, pods=pods)], **options)
        self.pods = pods

    def _controller(self, context: Context) -> CheckpointStoreController:
        self.registry = context.registry
        return CheckpointStoreController(context)

    @property
    def store(self) -> Object:
        return self.one(CHECKPOINT_STORES, "team", "runs")

    def ready(self) -> tuple[str, str]:
        found = get_condition(self.store, "Ready")
        assert found is not None
        return found["status"], found["reason"]


def answering(answer: Any) -> World:
    world = World(Pods(lambda job: answer))
    world.create(claim())
    world.create(store())
    world.settle()
    return world


def test_a_good_store_is_ready_with_what_was_found() -> None:
    world = answering(GOOD)
    assert world.ready() == ("True", "Probed")
    status = world.store["status"]
    assert (status["storeId"], status["freeBytes"], status["uri"]) == ("id-1", 5, "pvc://runs/sojourn")
    assert (status["accessModes"], status["observedGeneration"]) == (["ReadWriteMany"], 1)
    assert world.names(JOBS) == []
    assert [event["reason"] for event in world.world.list(EVENTS, "team").items] == ["Probed"]


def test_stores_are_measured_while_they_are_there() -> None:
    world = answering(GOOD)
    labels = {"namespace": "team", "store": "runs"}
    world.advance(601)
    registry = world.registry
    assert registry.get_sample_value("sojourn_operator_store_ready", labels) == 1
    assert registry.get_sample_value("sojourn_operator_store_free_bytes", labels) == 5
    world.delete(CHECKPOINT_STORES, "team", "runs")
    world.settle()
    assert registry.get_sample_value("sojourn_operator_store_ready", labels) is None


def test_the_pod_is_restricted_and_has_no_rights() -> None:
    world = answering(GOOD)
    pod = world.pods.jobs[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["command"] == ["python", "-m", "sojourn.mover", "probe"]
    assert {"name": "SOJOURN_STORE", "value": "/sojourn/store/sojourn"} in container["env"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "runs"}


def test_a_bad_store_says_why_and_is_tried_again_soon() -> None:
    world = answering(BAD)
    assert world.ready() == ("False", "NoExclusiveCreate")
    message = get_condition(world.store, "Ready")["message"]  # type: ignore[index]
    assert message == "two won Use another."
    world.pods.answer = lambda job: GOOD
    world.advance(61)
    assert world.ready() == ("True", "Probed")


def test_a_store_is_tried_again_now_and_then() -> None:
    world = answering(GOOD)
    world.pods.answer = lambda job: BAD
    world.advance(300)
    assert world.ready()[0] == "True"
    world.advance(301)
    assert world.ready()[0] == "False"
    assert len(world.pods.jobs) == 2
    names = [job["metadata"]["name"] for job in world.pods.jobs]
    assert len(set(names)) == 2


def test_a_volume_for_one_node_is_tried_once() -> None:
    world = World(Pods(lambda job: GOOD))
    world.create(claim("ReadWriteOnce"))
    world.create(store())
    world.settle()
    world.advance(5000)
    assert len(world.pods.jobs) == 1


def test_without_a_claim_nothing_is_made_until_it_is_there() -> None:
    world = World(Pods(lambda job: GOOD))
    world.create(store())
    world.settle()
    assert world.ready() == ("False", "ClaimNotFound")
    assert world.names(JOBS) == []
    world.create(claim())
    world.settle()
    assert world.ready() == ("True", "Probed")
    world.delete(PERSISTENT_VOLUME_CLAIMS, "team", "runs")
    world.settle()
    assert world.ready() == ("False", "ClaimNotFound")


def test_a_folder_of_one_machine_is_refused() -> None:
    world = World(Pods())
    world.create(store(uri="file:///data"))
    world.settle()
    assert world.ready() == ("False", "LocalStore")
    assert world.names(JOBS) == []


def test_an_object_store_gets_its_keys_by_name() -> None:
    world = World(Pods(lambda job: GOOD))
    world.create(store(uri="s3://bucket/runs", region="r", endpoint="https://e.test", secretRef={"name": "keys"}))
    world.settle()
    (container,) = world.pods.jobs[0]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
    values = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (values["SOJOURN_STORE_REGION"], values["SOJOURN_STORE_ENDPOINT"]) == ("r", "https://e.test")
    assert world.ready() == ("True", "Probed")


def test_a_changed_spec_is_tried_at_once() -> None:
    world = World(Pods(lambda job: GOOD))
    world.create(store(uri="s3://bucket/runs"))
    world.settle()
    world.pods.answer = lambda job: BAD
    world.patch(CHECKPOINT_STORES, "team", "runs", {"spec": {"region": "elsewhere"}})
    world.settle()
    assert world.ready() == ("False", "NoExclusiveCreate")
    assert world.store["status"]["observedGeneration"] == 2


def test_a_pod_that_cannot_start_is_told_of() -> None:
    world = World(Pods(waiting=("ImagePullBackOff", "no such image")))
    world.create(claim())
    world.create(store())
    world.settle()
    world.advance(3)
    ready = get_condition(world.store, "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("Unknown", "Probing")
    assert "ImagePullBackOff: no such image" in ready["message"]


def test_a_probe_that_fails_by_itself() -> None:
    world = answering("Traceback: no module")
    assert world.ready() == ("False", "ProbeFailed")
    assert "no module" in get_condition(world.store, "Ready")["message"]  # type: ignore[index]
    assert not is_true(world.store, "Ready")


@pytest.mark.parametrize("answer", [GOOD, BAD])
def test_killed_at_every_write(answer: Any) -> None:
    def make() -> Harness:
        return World(Pods(lambda job: answer))

    def play(world: Harness) -> None:
        world.create(claim())
        world.create(store())
        world.settle()
        assert is_true(world.one(CHECKPOINT_STORES, "team", "runs"), "Ready") is bool(answer["ready"])
        assert world.names(JOBS) == world.names(PODS) == []

    assert len(crash_at_every_write(make, play)) >= 6
