"""The RayJobs that engine KubeRay makes, held to KubeRay's own schema by a real API server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from e2e.jobs import wait
from helpers.attempts import attempt
from sojourn_operator.engines.kuberay import KubeRayEngine

pytestmark = pytest.mark.e2e

FOLDER = "SOJOURN_TEST_CRDS"
NAMES = ("rayclusters.ray.io", "rayjobs.ray.io")
FILES = ("ray.io_rayclusters.yaml", "ray.io_rayjobs.yaml")


@pytest.fixture(scope="module")
def cluster(east: Cluster) -> Iterator[Cluster]:
    """A cluster that knows KubeRay's kinds; they go again where they were not there before."""
    folder = Path(os.environ.get(FOLDER, ""))
    if not os.environ.get(FOLDER) or not all((folder / file).exists() for file in FILES):
        pytest.skip(f"{FOLDER} names no folder with KubeRay's CustomResourceDefinitions")
    there = east.kubectl("get", "customresourcedefinitions", "-o", "name")
    made = [name for name in NAMES if name not in there]
    for file in FILES:
        # Their schemas are too large for the annotation of a client-side apply.
        east.kubectl("apply", "--server-side", "--force-conflicts", "-f", folder / file)
    for name in NAMES:
        wait(lambda name=name: is_served(east, name), f"{name} is served")
    yield east
    for name in made:
        east.kubectl("delete", "customresourcedefinition", name, "--wait=false")


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("kuberay") as name:
        yield name


def is_served(cluster: Cluster, name: str) -> bool:
    # A definition that is new has a status, and null in it.
    conditions = cluster.get("customresourcedefinition", name).get("status", {}).get("conditions") or ()
    return any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions)


def dry_run(cluster: Cluster, obj: dict[str, Any]) -> str:
    return cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(obj))


@pytest.mark.parametrize("replicas", [1, 2, 8])
def test_a_rayjob_is_accepted(cluster: Cluster, namespace: str, replicas: int) -> None:
    assert "created" in dry_run(cluster, rayjob(namespace, replicas))


def test_a_wrong_field_is_not(cluster: Cluster, namespace: str) -> None:
    wrong = rayjob(namespace, 2)
    wrong["spec"]["rayClusterSpec"]["headGroupSpec"]["templates"] = {}
    with pytest.raises(ClusterError, match="templates"):
        dry_run(cluster, wrong)


def rayjob(namespace: str, replicas: int) -> dict[str, Any]:
    made = attempt({"spec.workers.replicas": replicas}, engine="KubeRay")
    made["metadata"]["namespace"] = namespace
    return dict(KubeRayEngine().workload(made))
