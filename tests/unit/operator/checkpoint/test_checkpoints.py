"""Checkpoint objects: made of commits, marked, bounded, and deleted with their files on request."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from helpers.crashes import crash_at_every_write
from helpers.mover_jobs import JobRunner, Pods
from helpers.operator import Harness
from sojourn_operator.checkpoint.controller import CheckpointController, CommitController
from sojourn_operator.checkpoint.words import best, quality, size
from sojourn_operator.resources import CHECKPOINT_STORES, CHECKPOINTS, EVENTS, JOBS, PODS, TRAINING_ATTEMPTS
from sojourn_operator.runtime.conditions import get_condition
from sojourn_operator.runtime.objects import Object
from sojourn_operator.runtime.port import Forbidden

RUN = {"runId": "00000000-0000-0000-0000-000000000001", "name": "digits", "prefix": "team/digits-0001"}
KEEP_BEST = {"metric": "val_accuracy", "mode": "Max"}


def commit(step: int, **metrics: float) -> dict[str, Any]:
    return {
        "step": step,
        "epoch": 1,
        "manifest": f"blake3:{step:064x}"[:71],
        "time": "2026-01-01T00:00:00Z",
        "metrics": metrics,
        "bytes": 3 << 20,
        "checkpoint": f"data/{step}-1-u",
    }


class World(Harness):
    def __init__(self, pods: Pods | None = None, **options: Any) -> None:
        self.pods = pods or Pods()
        controllers = [CommitController, CheckpointController]
        super().__init__(controllers, [partial(JobRunner, pods=self.pods)], **options)
        self.create(
            {
                "apiVersion": "sojourn.dev/v1alpha1",
                "kind": "TrainingAttempt",
                "metadata": {"name": "digits-1", "namespace": "team", "labels": {"sojourn.dev/job": "digits"}},
                "spec": {
                    "jobName": "digits",
                    "jobUID": "u",
                    "number": 1,
                    "job": {"checkpoint": {"keepBest": KEEP_BEST}},
                    "store": {"name": "runs", "pvc": {"claimName": "runs"}},
                },
            }
        )
        self.create(
            {
                "apiVersion": "sojourn.dev/v1alpha1",
                "kind": "CheckpointStore",
                "metadata": {"name": "runs", "namespace": "team"},
                "spec": {"pvc": {"claimName": "runs"}},
            }
        )
        ready = {"type": "Ready", "status": "True", "reason": "Probed", "message": ""}
        conditions = [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        self.patch_status(CHECKPOINT_STORES, "team", "runs", conditions=conditions)

    def report(self, *commits: dict[str, Any], retired: tuple[str, ...] = ()) -> None:
        self.patch_status(TRAINING_ATTEMPTS, "team", "digits-1", run=RUN, commits=list(commits), retired=list(retired))
        self.settle()

    def steps(self) -> list[int]:
        return sorted(item["spec"]["step"] for item in self.world.list(CHECKPOINTS, "team").items)

    def checkpoint(self, step: int) -> Object:
        (found,) = [item for item in self.world.list(CHECKPOINTS, "team").items if item["spec"]["step"] == step]
        return found

    def available(self, step: int) -> tuple[str, str]:
        found = get_condition(self.checkpoint(step), "Available")
        assert found is not None
        return found["status"], found["reason"]

    def reasons(self) -> set[str]:
        return {event["reason"] for event in self.world.list(EVENTS, "team").items}

    def delete_checkpoint(self, step: int) -> None:
        self.delete(CHECKPOINTS, "team", self.checkpoint(step)["metadata"]["name"])
        self.settle()

    def deleting_files(self, step: int) -> None:
        name = self.checkpoint(step)["metadata"]["name"]
        self.patch(CHECKPOINTS, "team", name, {"spec": {"deletionPolicy": "Delete"}})
        self.settle()


def test_every_commit_becomes_an_object_that_says_what_can_be_resumed() -> None:
    world = World()
    world.report(commit(100, val_accuracy=0.95, loss=0.2), commit(200, val_accuracy=0.91))
    assert world.steps() == [100, 200]
    item = world.checkpoint(100)
    assert item["metadata"]["name"] == "digits-100-00000"
    assert "ownerReferences" not in item["metadata"]
    assert item["spec"]["storeRef"] == {"name": "runs"}
    assert item["spec"]["run"] == {"name": "digits", "runId": RUN["runId"], "prefix": RUN["prefix"]}
    assert (item["spec"]["key"], item["spec"]["jobName"]) == ("data/100-1-u", "digits")
    assert world.available(100) == ("True", "Committed")
    status = item["status"]
    assert (status["best"], status["quality"], status["size"]) == (True, "val_accuracy=0.95", "3.0MiB")
    assert world.checkpoint(200)["status"]["best"] is False
    world.report(commit(100, val_accuracy=0.95), commit(200, val_accuracy=0.91), commit(300, val_accuracy=0.99))
    assert world.checkpoint(100)["status"]["best"] is False
    assert world.checkpoint(300)["status"]["best"] is True


def test_nothing_before_the_run_is_known() -> None:
    world = World()
    world.patch_status(TRAINING_ATTEMPTS, "team", "digits-1", commits=[commit(100)])
    world.settle()
    assert world.steps() == []


def test_what_is_retired_is_marked_and_goes_a_while_later() -> None:
    world = World()
    world.report(commit(100, val_accuracy=0.9), commit(200, val_accuracy=0.8))
    world.report(commit(100), commit(200), retired=("data/100-1-u",))
    assert world.available(100) == ("False", "Retired")
    assert world.checkpoint(200)["status"]["best"] is True
    assert "Retired" in world.reasons()
    world.report(commit(200), commit(300))  # the attempt tells of the last that were retired only
    assert world.available(100) == ("False", "Retired")
    world.advance(601)
    assert world.steps() == [200, 300]


def test_an_object_that_a_person_deletes_does_not_come_back() -> None:
    world = World()
    world.report(commit(100), commit(200))
    world.delete_checkpoint(100)
    world.report(commit(100), commit(200), commit(300))
    assert world.steps() == [200, 300]
    assert world.pods.jobs == []


def test_the_number_of_objects_is_bounded_and_the_best_stays() -> None:
    world = World()
    for start in range(1, 80, 20):
        commits = [commit(step, val_accuracy=1 / step) for step in range(start, start + 20)]
        world.report(*commits)
    assert len(world.steps()) == 50
    assert world.steps()[:2] == [1, 32]


def test_without_a_request_the_files_stay() -> None:
    world = World()
    world.report(commit(100))
    assert "finalizers" not in world.checkpoint(100)["metadata"]
    world.deleting_files(100)
    assert world.checkpoint(100)["metadata"]["finalizers"] == ["sojourn.dev/delete-checkpoint"]
    name = world.checkpoint(100)["metadata"]["name"]
    world.patch(CHECKPOINTS, "team", name, {"spec": {"deletionPolicy": "Retain"}})
    world.settle()
    assert not world.checkpoint(100)["metadata"].get("finalizers")


def test_deletion_with_its_files() -> None:
    world = World(Pods(lambda job: {"done": True, "bytes": 5}))
    world.report(commit(100), commit(200))
    world.deleting_files(100)
    world.delete_checkpoint(100)
    assert world.steps() == [200]
    (job,) = world.pods.jobs
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][-1] == "retire"
    values = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (values["SOJOURN_RUN"], values["SOJOURN_CHECKPOINT"]) == (RUN["prefix"], "data/100-1-u")
    assert "Deleted" in world.reasons()
    assert world.names(JOBS) == world.names(PODS) == []


def test_one_that_is_pinned_is_tried_again_and_let_go_in_the_end() -> None:
    world = World(Pods(lambda job: '{"done": false, "reason": "Pinned", "message": "a reader holds it"}'))
    world.report(commit(100))
    world.deleting_files(100)
    world.delete_checkpoint(100)
    assert world.steps() == [100]
    world.advance(200)
    assert "Pinned" in world.reasons()
    assert len(world.pods.jobs) > 1
    world.advance(500)
    assert world.steps() == []
    assert "FilesKept" in world.reasons()


def test_one_that_is_retired_already_needs_no_pod() -> None:
    world = World()
    world.report(commit(100))
    world.deleting_files(100)
    world.report(commit(100), retired=("data/100-1-u",))
    world.delete_checkpoint(100)
    assert (world.steps(), world.pods.jobs) == ([], [])


def test_a_namespace_that_goes_is_not_held_up() -> None:
    world = World()
    world.report(commit(100))
    world.deleting_files(100)
    create = world.port.create

    def refuse(obj: Object) -> Object:
        if obj["kind"] == "Job":
            raise Forbidden("the namespace is being terminated")
        return create(obj)

    world.port.create = refuse  # type: ignore[method-assign]
    world.delete_checkpoint(100)
    assert world.steps() == []


def test_killed_at_every_write() -> None:
    def make() -> Harness:
        return World(Pods(lambda job: {"done": True}))

    def play(world: Harness) -> None:
        assert isinstance(world, World)
        world.report(commit(100, val_accuracy=0.9), commit(200))
        world.report(commit(100), commit(200), commit(300), retired=("data/200-1-u",))
        world.deleting_files(100)
        world.delete_checkpoint(100)
        assert world.steps() == [200, 300]

    assert len(crash_at_every_write(make, play)) > 20


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (20 << 20, "20MiB"), (1 << 51, "2048TiB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_the_best_and_what_is_said_of_it() -> None:
    specs = [
        {"step": 1, "key": "a", "metrics": {"loss": 0.5}},
        {"step": 2, "key": "b", "metrics": {"loss": 0.4, "val_loss": float("nan")}},
        {"step": 3, "key": "c", "metrics": {"loss": 0.4}},
    ]
    assert best(specs, None) == "c"
    assert best(specs, KEEP_BEST) == ""
    assert quality({"loss": 0.25, "val_loss": 0.123456}, None) == "val_loss=0.1235"
    assert quality({}, None) == ""
