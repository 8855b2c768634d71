"""Attempts of engine KubeRay, on a cluster in memory where the test plays KubeRay and the pods."""

from __future__ import annotations

from helpers.jobs import NAMESPACE, World
from helpers.manifests import JOB, changed
from sojourn_operator.resources import EVENTS, PODS, RAY_JOBS, SERVICES, TRAINING_ATTEMPTS
from sojourn_operator.runtime.objects import Resource
from sojourn_operator.runtime.port import Missing, Page


def world() -> World:
    return World(changed(JOB, {"spec.engine": "KubeRay"}))


def make_head(it: World, number: int, uid: str) -> None:
    """What KubeRay does with headGroupSpec."""
    rayjob = it.harness.one(RAY_JOBS, NAMESPACE, f"digits-{number}")
    template = rayjob["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
    labels = {**template["metadata"]["labels"], "ray.io/node-type": "head"}
    metadata = {"name": uid, "namespace": NAMESPACE, "labels": labels}
    it.harness.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    it.harness.patch_status(PODS, NAMESPACE, uid, phase="Running")
    pod = it.harness.one(PODS, NAMESPACE, uid)
    it.report(number, phase="Running", head={"pod": uid, "uid": pod["metadata"]["uid"]}, startTime=it.now)


def rayjobs(it: World) -> list[str]:
    return it.harness.names(RAY_JOBS)


def test_an_attempt_becomes_a_rayjob_with_a_service_for_its_head() -> None:
    it = world()
    it.harness.settle()
    assert rayjobs(it) == ["digits-1"]
    selector = it.harness.one(SERVICES, NAMESPACE, "digits-1")["spec"]["selector"]
    assert selector["ray.io/node-type"] == "head"
    dashboard = it.harness.one(SERVICES, NAMESPACE, "digits-dashboard")["spec"]["selector"]
    assert dashboard == {"sojourn.dev/job": "digits", "ray.io/node-type": "head"}


def test_a_complete_attempt_deletes_it_once_the_head_has_ended() -> None:
    it = world()
    it.harness.settle()
    make_head(it, 1, "head-a")
    it.report(phase="Succeeded", outcome={"exitCode": 0})
    assert it.phase == "Complete"
    assert rayjobs(it) == ["digits-1"]
    it.harness.patch_status(PODS, NAMESPACE, "head-a", phase="Succeeded")
    it.harness.settle()
    assert rayjobs(it) == []


def test_a_lost_head_makes_the_next_attempt() -> None:
    it = world()
    it.harness.settle()
    make_head(it, 1, "head-a")
    it.harness.delete(PODS, NAMESPACE, "head-a")
    it.harness.settle()
    assert rayjobs(it) == ["digits-2"]


def test_eviction_by_kueue_keeps_the_attempt() -> None:
    it = world()
    it.harness.settle()
    make_head(it, 1, "head-a")
    it.report(phase="Suspended")
    it.harness.patch(RAY_JOBS, NAMESPACE, "digits-1", {"spec": {"suspend": True}})
    it.harness.delete(PODS, NAMESPACE, "head-a")
    it.harness.patch_status(RAY_JOBS, NAMESPACE, "digits-1", jobDeploymentStatus="Suspended")
    it.harness.settle()
    assert it.condition("Running") == ("False", "Evicted")
    it.harness.patch(RAY_JOBS, NAMESPACE, "digits-1", {"spec": {"suspend": False}})
    it.harness.patch_status(RAY_JOBS, NAMESPACE, "digits-1", jobDeploymentStatus="Running")
    make_head(it, 1, "head-b")
    assert it.phase == "Running"
    assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]


def test_what_kuberay_refuses_is_said() -> None:
    it = world()
    it.harness.settle()
    status = {"jobDeploymentStatus": "ValidationFailed", "message": "the worker group is invalid"}
    it.harness.patch_status(RAY_JOBS, NAMESPACE, "digits-1", **status)
    it.harness.settle()
    events = it.harness.world.list(EVENTS, NAMESPACE).items
    assert [event["message"] for event in events if event["reason"] == "AttemptLost"] == [
        "digits-1: the worker group is invalid"
    ]


def test_a_cluster_without_kuberay_is_said() -> None:
    it = world()
    known = it.harness.world.list

    def without_kuberay(resource: Resource, namespace: str = "", labels: str = "") -> Page:
        if resource == RAY_JOBS and namespace:  # the informer, which looks everywhere, is told of this by its threads
            raise Missing("no matches for kind RayJob")
        return known(resource, namespace, labels)

    it.harness.world.list = without_kuberay  # type: ignore[method-assign]
    it.harness.restart()
    it.harness.settle()
    assert it.condition("Running") == ("False", "EngineNotInstalled")
    it.harness.world.list = known  # type: ignore[method-assign]
    it.harness.advance(60)
    assert rayjobs(it) == ["digits-1"]
