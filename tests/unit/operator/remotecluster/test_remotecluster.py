"""RemoteClusters on two clusters in memory."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
import yaml

from helpers.operator import FakeClock, Harness, memory_cluster
from sojourn.api.crds import KINDS, definition
from sojourn_operator.migration.controller import MigrationController
from sojourn_operator.rbac import REMOTE, REMOTE_CLUSTER
from sojourn_operator.remotecluster.controller import RemoteClusterController
from sojourn_operator.resources import CUSTOM_RESOURCE_DEFINITIONS, EVENTS, MIGRATIONS, REMOTE_CLUSTERS, SECRETS
from sojourn_operator.runtime.clock import rfc3339
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


WEST = {
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
    harness.create(WEST)
    harness.settle()
    assert reasons(harness) == {
        "Reachable": "True Answers",
        "Authorized": "True RightsGranted",
        "Compatible": "True Compatible",
        "OperatorSeen": "Unknown LeaseNotFound",
        "Ready": "True Ready",
    }
    status = cluster(harness)["status"]
    assert (status["server"], status["version"]) == ("https://west.test", "v1.35.0")
    assert status["crdVersions"]["trainingjobs"]
    assert harness.manager.port("west") is not None
    (event,) = harness.world.list(EVENTS, "default").items
    assert (event["type"], event["reason"]) == ("Normal", "Ready")


def test_without_its_secret_it_is_not_ready_until_that_comes(harness: Harness) -> None:
    harness.create(WEST)
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
    harness.create(WEST)
    harness.settle()
    assert reasons(harness)["Ready"] == "False KubeconfigRefused"
    assert harness.dialed == []


def test_a_rotated_credential_is_picked_up(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(WEST)
    harness.settle()
    harness.patch(SECRETS, "default", "west", {"data": secret(kubeconfig({"token": "second"}))["data"]})
    harness.advance(31)
    assert harness.dialed == [("west", "Bearer first"), ("west", "Bearer second")]


def test_a_silent_cluster_counts_as_lost_after_its_grace(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(WEST)
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
    harness.create(WEST)
    harness.settle()
    assert reasons(harness)["Authorized"] == "False RightsMissing"
    assert "patch trainingjobs" in (get_condition(cluster(harness), "Authorized") or {})["message"]


def test_older_and_missing_definitions_are_found(harness: Harness, west: MemoryCluster) -> None:
    name = "trainingjobs.sojourn.dev"
    west.patch(CUSTOM_RESOURCE_DEFINITIONS, "", name, {"metadata": {"annotations": {"sojourn.dev/version": "0.0.9"}}})
    harness.create(secret(kubeconfig()))
    harness.create(WEST)
    harness.settle()
    assert reasons(harness)["Compatible"] == "False DefinitionsOlder"
    west.delete(CUSTOM_RESOURCE_DEFINITIONS, "", name)
    harness.advance(31)
    assert reason_of(cluster(harness), "Ready") == "DefinitionsMissing"


def lease(namespace: str, version: str, renewed: str, name: str = "sojourn-operator") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": {"sojourn.dev/version": version}}
    spec = {"renewTime": renewed}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def test_the_operator_there_is_found_in_a_namespace_of_another_name(
    harness: Harness, west: MemoryCluster, clock: FakeClock
) -> None:
    west.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml-system"}})
    west.create(lease("ml-system", "0.9.1", rfc3339(clock.now())))
    harness.create(secret(kubeconfig()))
    harness.create(WEST)
    harness.settle()
    assert reasons(harness)["OperatorSeen"] == "Unknown LeaseNotFound"
    assert "operatorVersion" not in cluster(harness)["status"]
    harness.patch(REMOTE_CLUSTERS, "", "west", {"spec": {"operatorNamespace": "ml-system"}})
    harness.settle()
    assert reasons(harness)["OperatorSeen"] == "True LeaseFound"
    assert cluster(harness)["status"]["operatorVersion"] == "0.9.1"
    harness.advance(400)
    assert reasons(harness)["Ready"] == "False OperatorSilent"


def test_an_operator_there_with_a_lease_of_another_name_is_found_and_watched(
    harness: Harness, west: MemoryCluster, clock: FakeClock
) -> None:
    west.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "teams"}})
    west.create(lease("teams", "0.9.1", rfc3339(clock.now()), name="sojourn-teams"))
    harness.create(secret(kubeconfig()))
    harness.create({**WEST, "spec": {**WEST["spec"], "operatorNamespace": "teams"}})
    harness.settle()
    seen = get_condition(cluster(harness), "OperatorSeen") or {}
    assert seen["reason"] == "LeaseNotFound"
    assert "no Lease sojourn-operator in namespace teams" in seen["message"]
    assert "spec.operatorLeaseName" in seen["message"]
    harness.patch(REMOTE_CLUSTERS, "", "west", {"spec": {"operatorLeaseName": "sojourn-teams"}})
    harness.settle()
    assert reasons(harness)["OperatorSeen"] == "True LeaseFound"
    harness.advance(400)
    assert reasons(harness)["Ready"] == "False OperatorSilent"


def test_a_lease_that_may_not_be_read_is_no_obstacle_and_is_said(clock: FakeClock, west: MemoryCluster) -> None:
    rights = (REMOTE, REMOTE_CLUSTER)
    harness = Harness([RemoteClusterController], clock=clock, remotes={"west": west}, connected=False, there=rights)
    harness.create(secret(kubeconfig()))
    harness.create(WEST)
    harness.settle()
    assert reasons(harness)["OperatorSeen"] == "Unknown LeaseUnreadable"
    assert "spec.operatorNamespace" in (get_condition(cluster(harness), "OperatorSeen") or {})["message"]
    assert reasons(harness)["Ready"] == "True Ready"


class TestTwoOperators:
    """Of one cluster, each with Secrets of its own namespace."""

    @pytest.fixture
    def other(self, harness: Harness, clock: FakeClock, west: MemoryCluster) -> Harness:
        return Harness(
            [RemoteClusterController, MigrationController],
            clock=clock,
            world=harness.world,
            remotes={"west": west},
            connected=False,
            home="team-b",
        )

    def both(self, first: Harness, second: Harness) -> None:
        for _ in range(3):
            first.settle()
            second.settle()

    def test_who_has_the_secret_keeps_the_status(self, harness: Harness, other: Harness) -> None:
        harness.create(secret(kubeconfig()))
        harness.create(WEST)
        self.both(other, harness)
        assert reasons(harness)["Ready"] == "True Ready"
        assert cluster(harness)["status"]["keptBy"] == "default"
        writes = len(other.port.writes)
        for _ in range(5):
            other.advance(35)
            harness.settle()
        assert len(other.port.writes) == writes
        assert reasons(harness)["Ready"] == "True Ready"

    def test_the_first_of_two_with_a_secret_holds_the_connection(self, harness: Harness, other: Harness) -> None:
        harness.create(secret(kubeconfig()))
        harness.create({**secret(kubeconfig()), "metadata": {"name": "west", "namespace": "team-b"}})
        harness.create(WEST)
        self.both(harness, other)
        assert cluster(harness)["status"]["keptBy"] == "default"
        assert (harness.dialed, other.dialed) == ([("west", "Bearer first")], [])
        source = {"trainingJob": "digits"}
        target = {"cluster": "west"}
        migration = {
            "apiVersion": "sojourn.dev/v1alpha1",
            "kind": "Migration",
            "metadata": {"name": "m", "namespace": "team-b"},
            "spec": {"source": source, "target": target, "mode": "Cold"},
        }
        other.create(migration)
        other.settle()
        feasible = get_condition(other.one(MIGRATIONS, "team-b", "m"), "Feasible") or {}
        assert (feasible["status"], feasible["reason"]) == ("False", "ClusterOfOtherOperator")

    def test_a_status_that_nobody_keeps_any_more_is_taken_over(self, harness: Harness, other: Harness) -> None:
        harness.create(secret(kubeconfig()))
        harness.create({**secret(kubeconfig()), "metadata": {"name": "west", "namespace": "team-b"}})
        harness.create(WEST)
        self.both(harness, other)
        other.advance(299)
        assert cluster(harness)["status"]["keptBy"] == "default"
        other.advance(60)
        assert cluster(harness)["status"]["keptBy"] == "team-b"
        harness.settle()
        assert harness.manager.port("west") is None

    def test_without_its_secret_the_keeper_lets_go(self, harness: Harness, other: Harness) -> None:
        harness.create(secret(kubeconfig()))
        harness.create({**secret(kubeconfig()), "metadata": {"name": "west", "namespace": "team-b"}})
        harness.create(WEST)
        self.both(harness, other)
        harness.delete(SECRETS, "default", "west")
        harness.advance(31)
        self.both(other, harness)
        assert cluster(harness)["status"]["keptBy"] == "team-b"
        assert reasons(harness)["Ready"] == "True Ready"


def test_who_is_deleted_is_let_go(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(WEST)
    harness.settle()
    harness.delete(REMOTE_CLUSTERS, "", "west")
    harness.settle()
    assert harness.manager.port("west") is None


def test_a_steady_cluster_costs_a_write_a_look_at_most(harness: Harness) -> None:
    harness.create(secret(kubeconfig()))
    harness.create(WEST)
    harness.settle()
    writes = len(harness.port.writes)
    harness.advance(300)
    assert len(harness.port.writes) - writes <= 10
