"""As its users meet it: installed by Helm on two clusters, trained on one, carried to the other, served there."""

from __future__ import annotations

import json
import secrets
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.attempts import CODE
from e2e.clusters.access import Cluster
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from e2e.jobs import RunningJob
from e2e.release import Release, release_of
from e2e.transfers import store, until

pytestmark = pytest.mark.e2e

API = "sojourn.dev/v1alpha1"
JOB: dict[str, Any] = {
    "workers": {"resources": {"cpu": "1", "memory": "2Gi"}},
    "task": {"entrypoint": "tasks:paced", "code": {"configMap": {"name": "code"}}},
    "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
    "training": {"globalBatchSize": 128, "steps": 1000, "seed": 7},
    "checkpoint": {"store": {"name": "runs"}, "every": {"seconds": 3}},
    "export": {"formats": ["SavedModel"]},
    "podTemplate": {"sharedMemory": "256Mi"},
}


@dataclass(frozen=True, slots=True)
class Side:
    """One cluster: the release, and the namespace with jobs that it acts in."""

    cluster: Cluster
    release: Release
    team: str

    def apply(self, kind: str, name: str, **spec: Any) -> None:
        metadata = {"name": name, "namespace": self.team}
        self.cluster.apply({"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec})

    def until(self, kind: str, name: str, wanted: Callable[[dict[str, Any]], Any], seconds: float) -> dict[str, Any]:
        """An object's status, once it is as wanted."""

        def status() -> dict[str, Any]:
            found: dict[str, Any] = self.cluster.get(kind, name, self.team).get("status", {})
            return found

        return until(status, wanted, f"{kind} {name}", seconds)

    def has(self, kind: str, name: str, condition: str, seconds: float = 60) -> None:
        """Wait for a condition as people do."""
        place = f"--namespace={self.team}"
        self.cluster.kubectl("wait", f"{kind}/{name}", place, f"--for=condition={condition}", f"--timeout={seconds}s")


@pytest.fixture(scope="module")
def sides(east: Cluster, west: Cluster, images: Mapping[str, str], repository: Path) -> Iterator[tuple[Side, Side]]:
    with ExitStack() as stack:
        yield _install(stack, east, images, repository), _install(stack, west, images, repository)


def _install(stack: ExitStack, cluster: Cluster, images: Mapping[str, str], repository: Path) -> Side:
    install_definitions(cluster)
    team = stack.enter_context(cluster.namespace("installed-team"))
    folder = store_folder(team)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    release = stack.enter_context(release_of(cluster, "installed"))
    # Other tests' operators may run here, so this one keeps to its namespace.
    alone = {
        "watchNamespaces": f"{{{team}}}",
        "leaseName": release.name,
        "crds.enabled": "false",
        "rbac.aggregate": "false",
    }
    remote = {"remoteAccess.enabled": "true", "remoteAccess.namespaces": f"{{{team}}}"}
    release("install", *release.settings(images, clusterName=cluster.name, **alone, **remote))
    stack.callback(release, "uninstall")
    kinds = "migrations,modelservers,trainingjobs,checkpointtransfers"
    stack.callback(cluster.kubectl, "delete", kinds, "--all", f"--namespace={team}", "--timeout=120s")
    code = {"name": "code", "namespace": team}
    cluster.apply(
        *claim(team, "runs", folder),
        store(team),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": code, "data": {"tasks.py": CODE}},
    )
    return Side(cluster, release, team)


@pytest.fixture(scope="module")
def west_name(sides: tuple[Side, Side]) -> Iterator[str]:
    """West as the operator on east knows it."""
    here, there = sides
    name = f"west-{secrets.token_hex(3)}"
    kubeconfig = there.release.remote_kubeconfig(there.team)
    here.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": here.release.namespace},
            "data": {"kubeconfig": b64encode(kubeconfig.encode()).decode()},
        },
        {
            "apiVersion": API,
            "kind": "RemoteCluster",
            "metadata": {"name": name},
            "spec": {
                "kubeconfigSecretRef": {"name": name},
                "allowedNamespaces": [here.team],
                "operatorNamespace": there.release.namespace,
                "operatorLeaseName": there.release.name,
            },
        },
    )
    yield name
    here.cluster.kubectl("delete", "remotecluster", name, "--timeout=60s")


def test_a_job_trains_on_one_cluster(sides: tuple[Side, Side]) -> None:
    here, _ = sides
    here.has("checkpointstore", "runs", "Ready", 120)
    here.apply("TrainingJob", "digits", **JOB)
    RunningJob(here.cluster, here.team, "digits").trains(1, beyond=0)
    checkpoints = here.cluster.kubectl("get", "ckpt", f"--namespace={here.team}")
    assert "digits" in checkpoints


def test_it_is_carried_to_the_other_and_served_there(sides: tuple[Side, Side], west_name: str, tmp_path: Path) -> None:
    here, there = sides
    for condition in ("Ready", "OperatorSeen"):
        here.cluster.kubectl("wait", f"remotecluster/{west_name}", f"--for=condition={condition}", "--timeout=60s")
    here.apply(
        "Migration",
        "to-west",
        mode="Cold",
        source={"trainingJob": "digits"},
        target={"cluster": west_name, "namespace": there.team},
        resume={},
        serve={"replicas": 1, "resources": {"cpu": "300m", "memory": "1Gi"}},
    )
    moved = here.until("migration", "to-west", lambda it: it.get("resumedStep") is not None, 300)
    assert moved["resumedStep"] == moved["committedStep"] > 0
    there.has("trainingjob", "digits", "Complete", 400)
    there.has("modelserver", "digits", "Ready", 300)
    here.has("migration", "to-west", "Complete", 120)
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"instances": [[[0.5] * 8] * 8]}))
    place = f"/api/v1/namespaces/{there.team}/services/http:digits:http/proxy/v1/models/digits:predict"
    (prediction,) = json.loads(there.cluster.kubectl("create", "--raw", place, "-f", body))["predictions"]
    assert len(prediction) == 10


def test_no_operator_wanted_more_than_it_may(sides: tuple[Side, Side]) -> None:
    """What a Role lacks is refused with a word that everybody's log has."""
    for side in sides:
        log = side.release.kubectl("logs", f"deployment/{side.release.name}", "--all-pods", "--tail=-1")
        assert [line for line in log.splitlines() if "orbidden" in line] == []
