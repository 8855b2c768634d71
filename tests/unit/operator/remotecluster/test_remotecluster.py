"""RemoteClusters on two clusters in memory."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
import yaml

from helpers.operator import FakeClock, Harness, memory_cluster
from sojourn.api.crds import KINDS, definition
from sojourn_operator.remotecluster.controller import RemoteClusterController
from sojourn_operator.resources import CUSTOM_RESOURCE_DEFINITIONS, EVENTS, REMOTE_CLUSTERS, SECRETS
from sojourn_operator.runtime.conditions import get_condition, reason_of
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.objects import Object


def kubeconfig(user: dict[str, Any] | None = None) -> str:
    return yaml.safe_dump(
        {
            "contexts": [{"name": "west", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://west.test"}}],
            "users": [{"name": "u", "user": user or {"token": "first"}}],
        }
    )


def secret(text: str, name: str = "west") -> dict[str, Any]:
    data = {"kubeconfig": b64encode(text.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": data}


REMOTE_CLUSTER = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "RemoteCluster",
    "metadata": {"name": "west"},
    "spec": {"kubeconfigSecretRef": {"name": "west"}, "allowedNamespaces": ["*"]},
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def west(clock: FakeClock) -> MemoryCluster:
    world = memory_cluster(clock)
    for kind in KINDS:
        world.create(definition(kind))
    return world


@pytest.fixture
def harness(clock: FakeClock, west: MemoryCluster) -> Harness:
    return Harness([RemoteClusterController], clock=clock, remotes={"west": west}, connected=False)


def cluster(harness: Harness) -> Object:
    return harness.one(REMOTE_CLUSTERS, "", "west")


def reasons(harness: Harness) -> dict[str, str]:
    return {entry["type"]: f"{entry['status']} {entry['reason']}" for entry in cluster(harness)["status"]["conditions"]}


def test_a_cluster_that_answers_allows_and_understands_is_ready(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    assert reasons(harness) == {
        "Reachable": "True Answers",
        "Authorized": "True RightsGranted",
        "Compatible": "True Compatible",
        "Ready": "True Ready",
    }
    status = cluster(harness)["status"]
    assert (status["server"], status["version"]) == ("https://west.test", "v1.35.0")
    assert status["crdVersions"]["trainingjobs"]
    assert harness.manager.port("west") is not None
    (event,) = harness.world.list(EVENTS, "default").items
    assert (event["type"], event["reason"]) == ("Normal", "Ready")


def test_without_its_secret_it_is_not_ready_until_that_comes(harness: Harness) -> None:
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    assert reasons(harness)["Ready"] == "False SecretNotFound"
    harness.create(secret(kubeconfig()))
    harness.advance(15)
    assert reasons(harness)["Ready"] == "True Ready"


@pytest.mark.parametrize(
    "user", [{"exec": {"command": "sh"}}, {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}]
)
def test_a_kubeconfig_that_acts_is_never_used(harness: Harness, user: dict[str, Any]) -> None:
    harness.create(secret(kubeconfig(user)))
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    assert reasons(harness)["Ready"] == "False KubeconfigRefused"
    assert harness.dialed == []


def test_a_rotated_credential_is_picked_up(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    harness.patch(SECRETS, "default", "west", {"data": secret(kubeconfig({"token": "second"}))["data"]})
    harness.advance(31)
    assert harness.dialed == [("west", "Bearer first"), ("west", "Bearer second")]


def test_a_silent_cluster_counts_as_lost_after_its_grace(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    harness.remote_ports["west"].down = True
    harness.advance(60)
    assert reasons(harness)["Reachable"] == "Unknown NoAnswer"
    assert reasons(harness)["Ready"] == "True Ready"
    harness.advance(120)
    assert reasons(harness)["Reachable"] == "False Unreachable"
    assert reasons(harness)["Ready"] == "False Unreachable"
    harness.remote_ports["west"].down = False
    harness.advance(15)
    assert reasons(harness)["Ready"] == "True Ready"


def test_missing_rights_are_named(clock: FakeClock) -> None:
    world = memory_cluster(clock, denied=[("patch", "trainingjobs")])
    harness = Harness([RemoteClusterController], clock=clock, remotes={"west": world}, connected=False)
    harness.create(secret(kubeconfig()))
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    assert reasons(harness)["Authorized"] == "False RightsMissing"
    assert "patch trainingjobs" in (get_condition(cluster(harness), "Authorized") or {})["message"]


def test_older_and_missing_definitions_are_found(harness: Harness, west: MemoryCluster) -> None:
    name = "trainingjobs.sojourn.dev"
    west.patch(CUSTOM_RESOURCE_DEFINITIONS, "", name, {"metadata": {"annotations": {"sojourn.dev/version": "0.0.9"}}})
    harness.create(secret(kubeconfig()))
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    assert reasons(harness)["Compatible"] == "False DefinitionsOlder"
    west.delete(CUSTOM_RESOURCE_DEFINITIONS, "", name)
    harness.advance(31)
    assert reason_of(cluster(harness), "Ready") == "DefinitionsMissing"


def test_who_is_deleted_is_let_go(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    harness.delete(REMOTE_CLUSTERS, "", "west")
    harness.settle()
    assert harness.manager.port("west") is None


def test_a_steady_cluster_costs_a_write_a_look_at_most(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(REMOTE_CLUSTER)
    harness.settle()
    writes = len(harness.port.writes)
    harness.advance(300)
    assert len(harness.port.writes) - writes <= 10
