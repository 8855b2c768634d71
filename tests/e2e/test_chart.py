"""The chart on a real cluster: install, take over, upgrade, uninstall, and nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError, wait_until
from e2e.definitions import install_definitions
from e2e.release import Release, release_of
from helpers.manifests import JOB, TRANSFER, changed
from sojourn_operator.resources import (
    ALL,
    CHECKPOINT_TRANSFERS,
    CUSTOM_RESOURCE_DEFINITIONS,
    PODS,
    SECRETS,
    TRAINING_JOBS,
)
from sojourn_operator.runtime.api import ApiServer
from sojourn_operator.runtime.clock import SystemClock
from sojourn_operator.runtime.connection import from_kubeconfig_text
from sojourn_operator.runtime.port import Forbidden

pytestmark = pytest.mark.e2e

# What Kubernetes itself puts into every namespace.
ALWAYS_THERE = {"configmaps/kube-root-ca.crt", "serviceaccounts/default"}
PASSING = ("events", "pods.metrics")


@pytest.fixture(scope="module")
def definitions(east: Cluster, repository: Path) -> None:
    """Sojourn's definitions are installed, as some other tests leave them."""
    install_definitions(east)


@pytest.fixture
def release(east: Cluster) -> Iterator[Release]:
    """A release in a namespace of its own, gone afterwards."""
    with release_of(east) as release:
        yield release


@pytest.fixture
def team(east: Cluster) -> Iterator[str]:
    """A namespace with jobs."""
    with east.namespace("chart-team") as namespace:
        yield namespace


@pytest.fixture
def alone(east: Cluster, repository: Path) -> Iterator[None]:
    """The cluster holds nothing of Sojourn's that an uninstall could delete. Definitions that were there come back."""
    try:
        wait_until(lambda: not objects_of_ours(east), "what earlier tests deleted is gone", seconds=60, pause=1)
    except ClusterError:
        pytest.skip("others use this cluster: it holds Sojourn's objects that an uninstall would delete")
    there = definitions_of(east)
    yield
    if there:
        install_definitions(east)


def everything(cluster: Cluster, namespace: str) -> set[str]:
    """All objects of a namespace, of whatever kind, but those that pass by themselves."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    wanted = ",".join(kind for kind in kinds if not kind.startswith(PASSING))
    listing = json.loads(cluster.kubectl("get", wanted, f"--namespace={namespace}", "-o", "json"))
    return {f"{obj['kind'].lower()}s/{obj['metadata']['name']}" for obj in listing["items"]}


def definitions_of(cluster: Cluster) -> list[str]:
    """The definitions of our kinds."""
    names = cluster.kubectl("get", "customresourcedefinitions", "-o", "name").split()
    return [name for name in names if name.endswith(".sojourn.dev")]


def objects_of_ours(cluster: Cluster) -> list[str]:
    """All objects of our kinds."""
    if not definitions_of(cluster):
        return []
    return cluster.kubectl("get", "sojourn", "--all-namespaces", "-o", "name").split()


def of_release(cluster: Cluster, name: str) -> list[str]:
    """Objects of the whole cluster that a release made."""
    kinds = "clusterroles,clusterrolebindings,customresourcedefinitions"
    return cluster.kubectl("get", kinds, f"--selector=app.kubernetes.io/instance={name}", "-o", "name").split()


def job_status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    status: dict[str, Any] = cluster.get("trainingjob", "digits", namespace).get("status", {})
    return status


@pytest.mark.usefixtures("definitions")
def test_one_team(east: Cluster, release: Release, team: str, images: Mapping[str, str]) -> None:
    options = release.settings(images, **{"watchNamespace": team, "crds.enabled": "false", "rbac.aggregate": "false"})
    release("install", *options)
    assert release.kubectl("get", "deployment", release.name, "-o", "jsonpath={.status.readyReplicas}") == "2"
    assert of_release(east, release.name) == []

    # It acts where it should.
    manifest = changed(JOB, {"metadata.namespace": team, "spec.checkpoint": {"store": {"name": "absent"}}})
    east.apply(manifest)
    wait_until(lambda: job_status(east, team).get("observedGeneration") == 1, "the job is looked at")

    # The other replica takes over when the leader is killed.
    first = release.leader
    release.kubectl("delete", "pod", first, "--grace-period=0", "--force")
    wait_until(lambda: release.leader not in ("", first), "another replica leads", seconds=60)
    east.apply(changed(manifest, {"spec.suspend": True}))
    wait_until(lambda: job_status(east, team).get("observedGeneration") == 2, "the new leader works")

    # The rights that the chart gives are enough.
    assert "orbidden" not in release.kubectl("logs", f"deployment/{release.name}", "--all-pods", "--tail=-1")

    # An upgrade keeps what it was told before.
    release("upgrade", "--reuse-values", "--set=settings.log_level=debug")
    environment = release.kubectl("get", "deployment", release.name, "-o", "jsonpath={..env}")
    assert "SOJOURN_OPERATOR_LOG_LEVEL" in environment
    assert team in environment

    # An uninstall leaves the job, which waits for nobody, and nothing of the operator.
    assert any(name.startswith("sojourn.dev/") for name in finalizers(east, team))
    release("uninstall")
    assert finalizers(east, team) == []
    assert everything(east, release.namespace) == ALWAYS_THERE
    east.kubectl("delete", "trainingjob", "digits", f"--namespace={team}", "--timeout=30s")
    wait_until(lambda: everything(east, team) == ALWAYS_THERE, "the job's own objects follow it")


@pytest.mark.usefixtures("definitions")
def test_another_cluster_is_let_in(east: Cluster, release: Release, team: str, images: Mapping[str, str]) -> None:
    values = {"watchNamespace": team, "crds.enabled": "false", "rbac.aggregate": "false", "replicas": "0"}
    remote = {"remoteAccess.enabled": "true", "remoteAccess.namespaces": f"{{{team}}}"}
    release("install", *release.settings(images, **values, **remote))
    connection = from_kubeconfig_text(release.remote_kubeconfig())
    port = ApiServer(connection, ALL, SystemClock(), name="east")
    made = port.create(changed(TRANSFER, {"metadata.namespace": team}))
    assert port.get(CHECKPOINT_TRANSFERS, team, made["metadata"]["name"]) is not None
    port.delete(CHECKPOINT_TRANSFERS, team, made["metadata"]["name"])
    assert port.get(CUSTOM_RESOURCE_DEFINITIONS, "", "migrations.sojourn.dev") is not None
    for resource, namespace in ((SECRETS, team), (PODS, team), (TRAINING_JOBS, release.namespace), (TRAINING_JOBS, "")):
        with pytest.raises(Forbidden):
            port.list(resource, namespace)
    release("uninstall")
    assert of_release(east, release.name) == []
    assert everything(east, team) == ALWAYS_THERE


def finalizers(cluster: Cluster, namespace: str) -> list[str]:
    found: list[str] = cluster.get("trainingjob", "digits", namespace)["metadata"].get("finalizers", [])
    return found


@pytest.mark.usefixtures("alone")
def test_the_whole_cluster(east: Cluster, release: Release, images: Mapping[str, str]) -> None:
    """Definitions included, which the uninstall takes away."""
    # What kubectl has applied becomes Helm's, as for people who change from one to the other.
    adopt = ["--take-ownership", "--force-conflicts"]
    options = [*adopt, *release.settings(images, **{"crds.keep": "false", "clusterName": "east"})]
    release("install", *options)
    made = of_release(east, release.name)
    assert sum("customresourcedefinition" in name for name in made) == 8
    with east.namespace("chart-team") as team:
        east.apply(changed(JOB, {"metadata.namespace": team, "spec.checkpoint": {"store": {"name": "absent"}}}))
        wait_until(lambda: job_status(east, team).get("observedGeneration") == 1, "the job is looked at")
        assert "orbidden" not in release.kubectl("logs", f"deployment/{release.name}", "--all-pods", "--tail=-1")
        release("uninstall")
        assert of_release(east, release.name) == []
        assert everything(east, release.namespace) == ALWAYS_THERE
        wait_until(lambda: everything(east, team) == ALWAYS_THERE, "the job goes with its definition")


@pytest.mark.usefixtures("definitions")
def test_manifests_install_are_accepted(east: Cluster, release: Release, repository: Path) -> None:
    """By the real API server, which is told not to keep them; the namespace is one that is there."""
    text = east.kubectl("kustomize", repository / "manifests/install").replace("sojourn-system", release.namespace)
    answer = east.kubectl("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", stdin=text)
    assert "deployment.apps/sojourn" in answer
