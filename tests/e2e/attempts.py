"""Attempts without an operator: the objects that it would make, made by its own pure functions."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from sojourn.api import TrainingJobSpec
from sojourn_operator.engines.access import access_objects, token_secret
from sojourn_operator.engines.job import JobEngine
from sojourn_operator.trainingjob.frozen import ImageDefaults, freeze

NAME = "digits"
SPEC: dict[str, Any] = {
    "strategy": "MultiWorkerMirroredStrategy",
    "workers": {"replicas": 2, "resources": {"cpu": "800m", "memory": "2Gi"}},
    "task": {"entrypoint": "tasks:paced", "code": {"configMap": {"name": "code"}}},
    "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
    "training": {"globalBatchSize": 128, "steps": 100000, "seed": 7},
    "checkpoint": {"every": {"seconds": 5}, "store": {"name": "runs"}},
}
# Slow enough that a test can act between two steps.
CODE = """
import time

import keras


class Pace(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.05)


def paced():
    from sojourn_trainer import Task

    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
    return Task(model, callbacks=[Pace()])
"""


@dataclass
class Attempts:
    """A job's attempts in one namespace, one after another."""

    cluster: Cluster
    namespace: str
    image: str
    owner: dict[str, Any] = field(default_factory=dict)

    def prepare(self, spec: Mapping[str, Any]) -> None:
        """Make the job, which no operator acts on, the ConfigMap with its code, and what its pods may do."""
        job = {
            "apiVersion": "sojourn.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": NAME, "namespace": self.namespace},
            "spec": {**spec, "managedBy": "example.com/test"},
        }
        metadata = {"name": "code", "namespace": self.namespace}
        self.cluster.apply(
            job, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"tasks.py": CODE}}
        )
        self.owner = self.cluster.get("trainingjob", NAME, self.namespace)
        heads = JobEngine().head_labels
        self.cluster.apply(
            token_secret(self.owner, "0123456789abcdef" * 4),
            *access_objects(self.owner, [f"{NAME}-{n}" for n in range(1, 9)], None, heads),
        )

    def start(self, number: int, spec: Mapping[str, Any], **fields: Any) -> Attempt:
        """Make an attempt and its pods."""
        frozen = freeze(TrainingJobSpec.from_manifest(copy.deepcopy(dict(spec))), ImageDefaults(self.image))
        attempt = {
            "apiVersion": "sojourn.dev/v1alpha1",
            "kind": "TrainingAttempt",
            "metadata": {"name": f"{NAME}-{number}", "namespace": self.namespace},
            "spec": {
                "jobName": NAME,
                "jobUID": self.owner["metadata"]["uid"],
                "number": number,
                "job": frozen,
                "store": {"pvc": {"claimName": "runs"}},
                **fields,
            },
        }
        self.cluster.apply(attempt)
        made = self.cluster.get("trainingattempt", f"{NAME}-{number}", self.namespace)
        engine = JobEngine()
        workload = copy.deepcopy(dict(engine.workload(made)))
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        container["env"] = [*container["env"], {"name": "SOJOURN_REPORT_SECONDS", "value": "2"}]
        self.cluster.apply(*engine.services(made), workload)
        return Attempt(self.cluster, self.namespace, f"{NAME}-{number}")


@dataclass
class Attempt:
    """One TrainingAttempt and its pods."""

    cluster: Cluster
    namespace: str
    name: str

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("trainingattempt", self.name, self.namespace).get("status", {})
        return found

    def until(self, wanted: Callable[[dict[str, Any]], bool], what: str, seconds: float = 180) -> dict[str, Any]:
        """The status once it is as wanted."""
        deadline = time.monotonic() + seconds
        while not wanted(status := self.status()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {seconds:g} s: {json.dumps(status)[:2000]}\n{self.logs()}")
            time.sleep(0.5)
        return status

    def phase(self, phase: str, seconds: float = 180) -> dict[str, Any]:
        """The status in that phase; an attempt that fails instead is not waited for."""
        status = self.until(lambda status: status.get("phase") in (phase, "Failed"), f"phase {phase}", seconds)
        assert status["phase"] == phase, f"{status['outcome']}\n{self.logs()}"
        return status

    def ask(self, **spec: Any) -> None:
        """Change spec, as the operator does."""
        self._kubectl("patch", "trainingattempt", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def pods(self, index: int | None = None) -> list[dict[str, Any]]:
        """Its pods, those that have ended too, oldest first."""
        selector = f"batch.kubernetes.io/job-name={self.name}"
        if index is not None:
            selector += f",batch.kubernetes.io/job-completion-index={index}"
        found = json.loads(self._kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def pod(self, index: int) -> str:
        """Name of the newest pod with that index."""
        return str(self.pods(index)[-1]["metadata"]["name"])

    def exit_code(self, pod: str) -> int | None:
        """Waits for a pod's end; None if it is gone, as a Job that has succeeded takes its other pods away."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            pods = self.pods()
            if pod not in [found["metadata"]["name"] for found in pods]:
                return None
            for found in pods:
                states = found["status"].get("containerStatuses", [{}])
                ended = states[0].get("state", {}).get("terminated")
                if found["metadata"]["name"] == pod and ended:
                    return int(ended["exitCode"])
            time.sleep(0.3)
        raise AssertionError(f"{pod} has not ended")

    def delete(self, pod: str) -> None:
        self._kubectl("delete", "pod", pod, "--wait=false")

    def kill(self, pod: str) -> None:
        """End a pod's processes without a word, as a machine that dies does. Only on clusters of this machine."""
        if self.cluster.site is None:
            pytest.skip("the processes of a cluster that was brought along are out of reach")
        for folder in Path("/proc").iterdir():
            try:
                mine = f"POD_NAME={pod}\0".encode() in (folder / "environ").read_bytes()
            except OSError:
                continue
            if mine:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(folder.name), signal.SIGKILL)

    def job(self) -> dict[str, Any]:
        return self.cluster.get("job", self.name, self.namespace)

    def proxy(self, path: str) -> str:
        """GET through the API server: `pods/NAME:PORT/proxy/...` or `services/...`."""
        return self._kubectl("get", "--raw", f"/api/v1/namespaces/{self.namespace}/{path}")

    def logs(self) -> str:
        """The last lines of all pods."""
        texts = []
        for pod in self.pods():
            name = pod["metadata"]["name"]
            try:
                texts.append(f"--- {name}\n{self._kubectl('logs', name, '--tail=40')}")
            except ClusterError as error:
                texts.append(f"--- {name}: {error}")
        return "\n".join(texts)

    def _kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments)
