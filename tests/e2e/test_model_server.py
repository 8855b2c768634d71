"""A ModelServer on a real cluster: right answers, an update under load, a broken version, a rollback on request."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.clusters.access import Cluster
from e2e.clusters.layout import POD_USER
from e2e.clusters.volumes import claim
from e2e.definitions import install_definitions
from e2e.load import Load
from e2e.operator_process import OperatorProcess
from helpers.checkpoints import checkpoint_folder, write_shard
from helpers.serving import sojourn
from helpers.trained import JobFiles, make_run
from sojourn.checkpoint.commit import finish, shard_key
from sojourn.checkpoint.manifest import CheckpointMeta
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, ExportInfo
from sojourn.store.posix import PosixStore

pytestmark = [pytest.mark.e2e, pytest.mark.tensorflow]

SHAPES = {
    "sequential/dense/kernel": (64, 128),
    "sequential/dense/bias": (128,),
    "sequential/probabilities/kernel": (128, 10),
    "sequential/probabilities/bias": (10,),
}
IMAGES = np.random.default_rng(5).random((16, 8, 8))


def weights(seed: int) -> dict[str, np.ndarray]:
    """What training leaves of sojourn_trainer.tasks.mlp."""
    random = np.random.default_rng(seed)
    tensors = {f"model/{name}": random.normal(size=s, scale=0.3).astype(np.float32) for name, s in SHAPES.items()}
    tensors["model/seed_generator/seed_generator_state"] = np.array([1, 2], np.uint32)
    tensors["optimizer/adam/learning_rate"] = np.array(0.001, np.float32)
    return tensors


def expected(seed: int) -> np.ndarray:
    """What the network answers for IMAGES, by NumPy."""
    w = weights(seed)
    hidden = IMAGES.reshape(-1, 64) @ w["model/sequential/dense/kernel"] + w["model/sequential/dense/bias"]
    logits = np.maximum(hidden, 0) @ w["model/sequential/probabilities/kernel"]
    powers = np.exp(logits + w["model/sequential/probabilities/bias"])
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Model:
    """A run in a store that pods mount, with exports 1 and 2 of different weights, and 3, of which a byte is wrong."""

    store: PosixStore
    log: RunLog

    @classmethod
    def make(cls, folder: Path, namespace: str) -> Model:
        store = PosixStore(folder)
        job = JobFiles("sojourn_trainer.tasks.mlp:build", {}, golden={"x0": IMAGES})
        log = make_run(store, "digits", job, weights(1), namespace=namespace)
        model = cls(store, log)
        model._export()
        model._commit(200, weights(2))
        model._export()
        model._damaged_copy()
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.chown(path, POD_USER, POD_USER)
        return model

    def _export(self) -> None:
        address = f"{self.log.state.namespace}/digits"
        done = sojourn("export", address, "--store", str(self.store.root))
        assert done.returncode == 0, done.stderr
        self.log.refresh()

    def _commit(self, step: int, tensors: dict[str, np.ndarray]) -> None:
        folder = checkpoint_folder(step, 1)
        shard = write_shard(self.store, shard_key(self.log.prefix, folder, 0, 1), tensors)
        manifest, named = finish(self.store, self.log.prefix, folder, [shard], CheckpointMeta(step=step, replicas=1))
        commit = CommitInfo(step=step, checkpoint=folder, manifest=named, bytes=manifest.total_bytes)
        self.log.commit(term=1, attempt_id="attempt-1", commit=commit)

    def _damaged_copy(self) -> None:
        second = self.log.state.exports[-1]
        for info in list(self.store.list(f"{self.log.prefix}/{second.key}")):
            data = self.store.read(info.key)
            if "variables.data" in info.key:
                data = data[:-1] + bytes([data[-1] ^ 1])
            self.store.put(info.key.replace("/export/2/", "/export/3/"), data)
        info = ExportInfo(version=3, key="export/3", manifest=second.manifest, step=200, formats=("SavedModel",))
        self.log.export(info)


@dataclass
class Serving:
    """The ModelServer `digits` of a namespace."""

    cluster: Cluster
    namespace: str

    def apply(self, **spec: Any) -> None:
        model = {"storeRef": {"name": "runs"}, "run": "digits"}
        self.cluster.apply(
            {
                "apiVersion": "sojourn.dev/v1alpha1",
                "kind": "ModelServer",
                "metadata": {"name": "digits", "namespace": self.namespace},
                "spec": {
                    "replicas": 2,
                    "resources": {"cpu": "300m", "memory": "1Gi"},
                    "terminationGracePeriodSeconds": 30,
                    **spec,
                    "model": {**model, **spec.get("model", {})},
                },
            }
        )

    def status(self) -> dict[str, Any]:
        found = self.cluster.get("modelserver", "digits", self.namespace)
        status: dict[str, Any] = found.get("status", {})
        current = status.get("observedGeneration") == found["metadata"]["generation"]
        return status if current else {"conditions": []}

    def reason(self, kind: str) -> str:
        return next((str(it["reason"]) for it in self.status()["conditions"] if it["type"] == kind), "")

    def until(self, wanted: Callable[[], bool], what: str, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not wanted():
            if time.monotonic() > deadline:
                pods = self.cluster.kubectl("get", "pods,deployments", "-o", "wide", f"--namespace={self.namespace}")
                raise AssertionError(f"not within {seconds:g} s: {what}\n{json.dumps(self.status(), indent=1)}\n{pods}")
            time.sleep(1)

    def serves(self, version: int) -> None:
        """Wait until this version serves, and nothing is under way."""
        self.until(
            lambda: self.status().get("activeVersion") == version and self.reason("Progressing") == "UpToDate",
            f"version {version} serves",
        )

    def predict(self, body: Path, model: str = "digits") -> np.ndarray:
        place = f"/api/v1/namespaces/{self.namespace}/services/http:digits:http/proxy"
        said = self.cluster.kubectl("create", "--raw", f"{place}/v1/models/{model}:predict", "-f", body)
        return np.array(json.loads(said)["predictions"])


@pytest.fixture
def serving(east: Cluster, images: Mapping[str, str], folder: Path, tmp_path: Path) -> Iterator[Serving]:
    install_definitions(east)
    with east.namespace("model-server") as namespace:
        Model.make(folder, namespace)
        store = {
            "apiVersion": "sojourn.dev/v1alpha1",
            "kind": "CheckpointStore",
            "metadata": {"name": "runs", "namespace": namespace},
            "spec": {"pvc": {"claimName": "runs"}},
        }
        east.apply(*claim(namespace, "runs", folder), store)
        settings = {"serving-image": images["serving"], "trainer-image": images["trainer"]}
        operator = OperatorProcess(east, namespace, tmp_path / "operator.log", settings)
        operator.start()
        try:
            yield Serving(east, namespace)
        finally:
            # While there is an operator to let go of it.
            east.kubectl("delete", "trainingjobs", "--all", f"--namespace={namespace}", "--timeout=120s")
            operator.stop()


def test_versions_come_and_go_without_a_lost_request(
    serving: Serving, images: Mapping[str, str], tmp_path: Path
) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"instances": IMAGES.tolist()}))
    cluster, namespace = serving.cluster, serving.namespace
    wait = ("wait", "modelserver/digits", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=240s")

    serving.apply(model={"version": 1}, exposure={"ingress": {"host": "digits.example.com", "tlsSecretName": "tls"}})
    cluster.kubectl(*wait)
    serving.serves(1)
    np.testing.assert_allclose(serving.predict(body), expected(1), rtol=1e-4, atol=1e-5)
    assert cluster.get("ingress", "digits", namespace)["spec"]["tls"][0]["secretName"] == "tls"
    assert serving.status()["url"] == "https://digits.example.com/v1/models/digits"

    small = json.dumps({"instances": IMAGES[:1].tolist()})
    load = Load.start(cluster, namespace, images["serving"], ("digits", "/v1/models/digits:predict", small))
    serving.apply(model={"version": 2})
    serving.serves(2)
    np.testing.assert_allclose(serving.predict(body), expected(2), rtol=1e-4, atol=1e-5)
    serving.until(lambda: _pods_of(serving, 1) == 0, "the pods of version 1 are gone")
    counts = load.stop()
    assert counts["failed"] == 0, counts
    assert counts["answered"] > 200, counts

    cluster.kubectl("scale", "modelserver/digits", "--replicas=1", f"--namespace={namespace}")
    serving.until(lambda: serving.status().get("replicas") == 1, "it is scaled down", 60)

    serving.apply(model={"version": 3}, replicas=1, progressDeadlineSeconds=20)
    serving.until(lambda: serving.reason("RolledBack") == "VersionFailed", "version 3 is rolled back")
    status = serving.status()
    assert status["activeVersion"] == 2
    failed = next(entry for entry in status["versions"] if entry["version"] == 3)
    assert (failed["state"], failed["reason"]) == ("Failed", "Corrupt"), failed
    cluster.kubectl(*wait)
    np.testing.assert_allclose(serving.predict(body), expected(2), rtol=1e-4, atol=1e-5)

    done = sojourn("rollback", "digits", f"--kubeconfig={cluster.kubeconfig}", "-n", namespace, "--to-version", "1")
    assert (done.returncode, done.stdout) == (0, "Version 1 serves.\n"), done.stderr
    np.testing.assert_allclose(serving.predict(body), expected(1), rtol=1e-4, atol=1e-5)
    assert serving.status()["replicas"] == 1


def test_a_run_is_served_as_soon_as_its_job_has_exported_it(serving: Serving, tmp_path: Path) -> None:
    cluster, namespace = serving.cluster, serving.namespace
    serving.apply(replicas=1, model={"run": "fresh"})
    serving.until(lambda: serving.reason("Ready") == "RunNotFound", "nothing is there yet")
    job = {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "fresh", "namespace": namespace},
        "spec": {
            "workers": {"resources": {"cpu": "800m", "memory": "2Gi"}},
            "task": {"entrypoint": "sojourn_trainer.tasks.mlp:build"},
            "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
            "training": {"globalBatchSize": 128, "steps": 20, "seed": 7},
            "checkpoint": {"store": {"uri": "pvc://runs"}},
            "export": {"formats": ["SavedModel"]},
            "podTemplate": {"sharedMemory": "256Mi"},
        },
    }
    cluster.apply(job)
    for condition, what in (("Complete", "trainingjob/fresh"), ("Ready", "modelserver/digits")):
        wait = ("--for=condition=" + condition, "--timeout=300s", f"--namespace={namespace}")
        cluster.kubectl("wait", what, *wait, timeout=320)
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"instances": IMAGES.tolist()}))
    probabilities = serving.predict(body, "fresh")
    assert probabilities.shape == (16, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)


def _pods_of(serving: Serving, version: int) -> int:
    found = json.loads(serving.cluster.kubectl("get", "pods", f"--namespace={serving.namespace}", "-o", "json"))
    return sum(f"-v{version}-" in pod["metadata"]["name"] for pod in found["items"])
