"""The pods of attempts on a real cluster: what they report, answer and survive. No operator runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from e2e.attempts import NAME, SPEC, Attempts
from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

# What an operator makes of them is part of every run: tests/e2e/test_training_job.py.
pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.fixture(scope="module")
def attempts(west: Cluster, images: Mapping[str, str]) -> Iterator[Attempts]:
    install_definitions(west)
    with west.namespace("pods") as namespace:
        west.apply(*claim(namespace, "runs", store_folder(namespace)))
        made = Attempts(west, namespace, images["trainer"])
        made.prepare(SPEC)
        yield made


@pytest.fixture(scope="module")
def folder(attempts: Attempts) -> Path:
    return store_folder(attempts.namespace)


def test_an_attempt_from_start_to_stop(attempts: Attempts, folder: Path) -> None:
    attempt = attempts.start(1, SPEC)
    status = attempt.until(lambda status: status.get("step", 0) > 20, "twenty steps")
    head, worker = attempt.pod(0), attempt.pod(1)
    assert status["head"]["pod"] == head
    assert status["workers"] == {"wanted": 2, "ready": 2}
    assert [part["phase"] for part in status["launch"]][:3] == ["start pod", "open the run", "start Ray"]

    # Dashboard and metrics are there for others; what the dashboard knows needs the job's token.
    assert "<html" in attempt.proxy(f"services/{NAME}-dashboard:8265/proxy/")
    with pytest.raises(ClusterError, match="must be logged in"):
        attempt.proxy(f"services/{NAME}-dashboard:8265/proxy/api/version")
    # Ray exports what its processes measure every few seconds.
    attempt.until(
        lambda _: "ray_sojourn_step{" in attempt.proxy(f"pods/{head}:8080/proxy/metrics"), "the head's metrics", 60
    )
    assert "ray_node_mem_used" in attempt.proxy(f"pods/{worker}:8080/proxy/metrics")

    attempt.ask(checkpointRequest="nightly")
    status = attempt.until(lambda status: status.get("checkpointRequest", {}).get("token") == "nightly", "an answer")
    assert status["checkpointRequest"]["step"] > 20

    # A drained worker waits for a commit and is replaced.
    attempt.delete(worker)
    attempt.until(lambda status: status.get("evicted", []) != [], "the eviction", 30)
    committed = attempt.until(lambda status: not status.get("evicted"), "its commit", 30)["lastCommit"]["step"]
    status = attempt.until(
        lambda status: status["run"]["term"] == 2 and status["phase"] == "Running", "the next group", 240
    )
    assert status["step"] >= committed
    assert status["failures"] == 0

    # One that is lost without a word counts, until the next commit.
    worker = attempt.pod(1)
    attempt.kill(worker)
    lost = attempt.until(lambda status: status["failures"] == 1, "the loss", 120)
    assert lost["workers"]["ready"] == 1 or lost["phase"] == "Starting"
    status = attempt.until(
        lambda status: status["run"]["term"] == 3 and status["failures"] == 0, "the group after it", 240
    )
    assert attempt.pod(1) != worker

    # An evicted head commits, and the next one goes on under the same attempt.
    attempt.delete(head)
    suspended = attempt.phase("Suspended", 60)
    assert suspended["outcome"]["reason"] == "Evicted"
    status = attempt.until(
        lambda status: status["run"]["term"] == 4 and status["phase"] == "Running", "the next head", 240
    )
    assert status["head"]["pod"] != head
    assert status["step"] >= suspended["lastCommit"]["step"]
    assert "outcome" not in status

    head, worker = attempt.pod(0), attempt.pod(1)
    attempt.ask(stop={"token": "s1", "reason": "Suspend"})
    status = attempt.until(lambda status: "stopped" in status, "the stop", 60)
    assert (status["phase"], status["stopped"]["token"]) == ("Suspended", "s1")
    assert attempt.exit_code(head) == 0
    assert attempt.exit_code(worker) in (0, None)
    log = find_run(PosixStore(folder), NAME, attempts.namespace)
    assert log.state.latest is not None
    assert status["stopped"]["step"] == log.state.latest.step
    assert not verify_run(log).problems
    kept = {file.stem: file.read_text() for file in (folder / log.prefix / "logs" / attempt.name).glob("*.log")}
    assert {head, worker} <= set(kept)
    assert "suspended at step" in kept[head]


def test_the_next_attempt_completes_and_exports(attempts: Attempts, folder: Path) -> None:
    last = find_run(PosixStore(folder), NAME, attempts.namespace).state.latest
    assert last is not None
    training = {**SPEC["training"], "steps": last.step + 40}
    attempt = attempts.start(2, {**SPEC, "training": training, "export": {"formats": ["Keras"]}})
    status = attempt.phase("Succeeded", 300)
    assert status["step"] == last.step + 40
    assert status["outcome"] == {"exitCode": 0, "reason": "Completed"}
    (export,) = status["exports"]
    assert (export["version"], export["formats"], export["step"]) == (1, ["Keras"], last.step + 40)
    assert attempt.exit_code(attempt.pod(0)) == 0
    assert "Export" in log_types(folder, attempts.namespace)


def test_a_mistake_in_the_task_is_told_with_the_pods_last_words(attempts: Attempts) -> None:
    task = {**SPEC["task"], "entrypoint": "tasks:pacde"}
    spec = {**SPEC, "strategy": "Default", "workers": {**SPEC["workers"], "replicas": 1}}
    one = Attempts(attempts.cluster, attempts.namespace, attempts.image, attempts.owner)
    attempt = one.start(3, {**spec, "task": task})
    status = attempt.phase("Failed", 180)
    assert status["outcome"]["exitCode"] == 4  # the entrypoint defines the run: this one has another
    assert "task.entrypoint differ" in status["outcome"]["message"]
    assert attempt.exit_code(attempt.pod(0)) == 4
    words = attempt.pods(0)[0]["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
    assert "task.entrypoint differ" in words
    # The Job makes another pod, which only waits.
    attempt.until(lambda status: len(attempt.pods(0)) > 1, "a replacement", 60)
    assert attempt.status()["outcome"] == status["outcome"]


def log_types(folder: Path, namespace: str) -> list[str]:
    log = find_run(PosixStore(folder), NAME, namespace)
    return [type(entry.body).__name__ for entry in log.entries()]
