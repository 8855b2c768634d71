"""The verbs for clusters on a cluster in memory, where time passes only while somebody waits."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from helpers.operator import FakeClock, memory_cluster
from sojourn.cli.main import main
from sojourn_operator.client import Client
from sojourn_operator.resources import PODS, TRAINING_ATTEMPTS, TRAINING_JOBS
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.port import Missing

DIGEST = "blake3:" + 64 * "a"
JOB: dict[str, Any] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "digits", "namespace": "team"},
    "spec": {
        "task": {"entrypoint": "tasks:build"},
        "training": {"globalBatchSize": 32, "epochs": 2, "seed": 1},
        "checkpoint": {"store": {"name": "runs"}},
    },
}
RUN = {
    "name": "digits",
    "runId": "6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11",
    "prefix": "team/digits-6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11",
    "term": 1,
}


class FakePods:
    """Logs by pod name; a pod without one has none yet."""

    def __init__(self) -> None:
        self.logs: dict[str, bytes] = {}

    def log(self, namespace: str, pod: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]:
        if pod not in self.logs:
            raise Missing(f"no log of {pod}")
        lines = self.logs[pod].splitlines(keepends=True)
        yield b"".join(lines if tail is None else lines[-tail:])

    def forward(self, namespace: str, pod: str, port: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.sendall(f"{namespace}/{pod}:{port}".encode())
        theirs.close()
        return ours


@dataclass
class World:
    """A cluster, its client, and what happens while the client waits: one of `script` per look."""

    clock: FakeClock
    cluster: MemoryCluster
    pods: FakePods = field(default_factory=FakePods)
    script: list[Callable[[], Any]] = field(default_factory=list)

    @property
    def client(self) -> Client:
        return Client(self.cluster, self.pods, "team", self.clock, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.script:
            self.script.pop(0)()

    def job(self, phase: str = "Running", **status: Any) -> None:
        """Make the job `digits` if it is not there, and give it a status."""
        if self.cluster.get(TRAINING_JOBS, "team", "digits") is None:
            self.cluster.create(JOB)
        self.report(phase, **status)

    def report(self, phase: str, **status: Any) -> None:
        """Give the job a status, as its operator does for what it has seen."""
        generation = self.cluster.get(TRAINING_JOBS, "team", "digits")["metadata"]["generation"]
        whole = {"phase": phase, "observedGeneration": generation, **status}
        self.cluster.patch_status(TRAINING_JOBS, "team", "digits", {"status": whole})

    def attempt(self, number: int = 1, **status: Any) -> str:
        """Make an attempt of it if it is not there, and give it a status."""
        name = f"digits-{number}"
        if self.cluster.get(TRAINING_ATTEMPTS, "team", name) is None:
            spec: Mapping[str, Any] = {
                "jobName": "digits",
                "jobUID": "uid",
                "number": number,
                "job": {**JOB["spec"], "image": "trainer:1", "workers": {"replicas": 2}},
                "store": {"name": "runs", "pvc": {"claimName": "runs", "path": "deep"}},
            }
            kind = {"apiVersion": "sojourn.dev/v1alpha1", "kind": "TrainingAttempt"}
            self.cluster.create({**kind, "metadata": {"name": name, "namespace": "team"}, "spec": spec})
        self.cluster.patch_status(TRAINING_ATTEMPTS, "team", name, {"status": status})
        return name

    def pod(self, name: str, phase: str = "Running", attempt: str = "digits-1") -> None:
        """Make a pod of the job."""
        labels = {"sojourn.dev/job": "digits", "sojourn.dev/attempt": attempt}
        metadata = {"name": name, "namespace": "team", "labels": labels}
        self.cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": "node-1"}})
        self.cluster.patch_status(PODS, "team", name, {"status": {"phase": phase}})


@pytest.fixture
def world() -> World:
    clock = FakeClock()
    return World(clock, memory_cluster(clock, namespaces=["team"]))


@pytest.fixture
def sojourn(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command on the cluster in memory: exit code, standard output, standard error."""
    monkeypatch.setattr("sojourn_operator.cli.options.client", lambda **chosen: world.client)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


Sojourn = Callable[..., tuple[int, str, str]]
