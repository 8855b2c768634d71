"""`sojourn_trainer.node` on Ray: the whole path that a job takes, and what happens when its processes are killed."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from node import Node, below, command_of, manifest

from sojourn import events
from sojourn.checkpoint.verify import verify_run
from sojourn_trainer.node.ray_node import RayNode

pytestmark = [pytest.mark.ray, pytest.mark.tensorflow]

PACED = {
    "training": {"globalBatchSize": 128, "steps": 200, "seed": 7},
    "task": {"entrypoint": "models_for_tests:paced"},
}


def test_a_killed_worker_costs_only_the_steps_since_the_last_commit(
    start_node: Callable[..., Node], ray_head: RayNode
) -> None:
    node = start_node(manifest(**PACED))
    node.until_committed(10)
    _wait_for_metric(ray_head, "ray_sojourn_step{")
    worker = _workers(ray_head)[0]
    assert _has_tensorflow(worker)
    (driver,) = node.descendants("sojourn_trainer.driver")
    helpers = [pid for word in ("CoordinatorActor", "TrainController") for pid in _processes(ray_head, word)]
    assert len(helpers) >= 2
    assert not [command_of(pid) for pid in (node.process.pid, driver, *helpers) if _has_tensorflow(pid)]
    os.kill(worker, signal.SIGKILL)
    assert node.finish() == 0
    (lost,) = node.of(events.AttemptFailed)
    assert lost.failures == 1
    first, second = node.of(events.Started)
    committed_before = max(c.step for c in node.of(events.Committed) if c.time < lost.time)
    assert (first.term, second.term) == (1, 2)
    assert second.restored_step == committed_before
    assert node.of(events.Completed)[0].step == 200
    assert not verify_run(node.run_log()).problems
    assert ray_head.plan.folder is not None
    assert list(ray_head.plan.folder.glob("tmp/__autograph_generated_file*"))  # a killed worker's files go with Ray's
    assert list(Path(node.store.uri.removeprefix("file://")).rglob("events.out.tfevents.*"))


def test_a_killed_driver_is_started_again(start_node: Callable[..., Node]) -> None:
    node = start_node(manifest(**PACED))
    node.until_committed(10)
    (driver,) = node.descendants("sojourn_trainer.driver")
    os.kill(driver, signal.SIGKILL)
    assert node.finish() == 0
    (lost,) = node.of(events.AttemptFailed)
    assert "killed by signal 9" in lost.error
    assert [started.term for started in node.of(events.Started)] == [1, 2]
    assert node.of(events.Completed)[0].step == 200


def test_sigterm_commits_the_boundary_and_the_next_start_goes_on_there(start_node: Callable[..., Node]) -> None:
    job = manifest(**PACED, checkpoint={"every": {"steps": 1000}})
    node = start_node(job)
    node.until(lambda event: isinstance(event, events.Progress))
    node.process.send_signal(signal.SIGTERM)
    assert node.finish() == 3
    (suspended,) = node.of(events.Suspended)
    assert suspended.reason == "SIGTERM"
    again = start_node(job)
    assert again.finish() == 0
    assert again.of(events.Started)[0].restored_step == suspended.step


def test_a_stop_before_training_ends_at_once(start_node: Callable[..., Node]) -> None:
    node = start_node(manifest(**PACED))
    node.until(lambda event: isinstance(event, events.Launch) and event.phase == "connect to Ray")
    node.process.send_signal(signal.SIGTERM)
    assert node.finish() == 3
    (suspended,) = node.of(events.Suspended)
    assert (suspended.step, suspended.reason) == (0, "SIGTERM")
    assert not node.of(events.Started)


def test_a_deadline_ends_the_job_with_everything_committed(start_node: Callable[..., Node]) -> None:
    node = start_node(
        manifest(**(PACED | {"training": {"globalBatchSize": 128, "steps": 100000}}), activeDeadlineSeconds=30)
    )
    assert node.finish() == 1
    (failed,) = node.of(events.Failed)
    assert "activeDeadlineSeconds (30) passed; committed up to step" in failed.message


def test_wrong_requests_end_before_ray_is_asked(start_node: Callable[..., Node]) -> None:
    first = start_node(manifest(training={"globalBatchSize": 128, "steps": 2, "seed": 7}))
    assert first.finish() == 0
    changed = start_node(manifest(training={"globalBatchSize": 64, "steps": 2, "seed": 7}))
    assert changed.finish() == 4
    assert "training.globalBatchSize differ" in changed.of(events.Failed)[0].message
    new = start_node(manifest(training={"globalBatchSize": 64, "steps": 2, "seed": 7}), None, "--new")
    assert new.finish() == 0


def _wait_for_metric(head: RayNode, name: str) -> None:
    """Ray exports what its processes measure every few seconds."""
    deadline = time.monotonic() + 60
    while name not in urllib.request.urlopen(head.plan.metrics_url, timeout=10).read().decode():
        assert time.monotonic() < deadline, f"no {name} at {head.plan.metrics_url}"
        time.sleep(0.2)


def _workers(head: RayNode) -> list[int]:
    """Process ids of Ray Train's workers below the head."""
    return _processes(head, "RayTrainWorker")


def _processes(head: RayNode, word: str) -> list[int]:
    """Process ids below the head whose command line holds a word; there is at least one."""
    assert head.process is not None
    found = [pid for pid in below(head.process.pid) if word in command_of(pid)]
    assert found, [command_of(pid) for pid in below(head.process.pid)]
    return found


def _has_tensorflow(pid: int) -> bool:
    """Whether a living process has loaded TensorFlow's library."""
    return "libtensorflow" in Path(f"/proc/{pid}/maps").read_text()
