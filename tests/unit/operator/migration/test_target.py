"""What a job would find at the target is said before anything moves, by the operator that makes its pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from helpers.manifests import JOB
from helpers.operator import Harness
from sojourn_operator.migration.controller import MigrationController
from sojourn_operator.migration.preflight import LACKING
from sojourn_operator.rbac import CLUSTER, GATEWAY, KUBERAY, OPERATOR, Role
from sojourn_operator.resources import CHECKPOINT_STORES, MIGRATIONS, NODES, RESOURCE_QUOTAS, SECRETS, TRAINING_JOBS
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.conditions import condition, with_conditions
from sojourn_operator.runtime.port import Forbidden
from sojourn_operator.trainingjob.controller import TrainingJobController

POD = {
    "serviceAccountName": "trainer",
    "imagePullSecrets": [{"name": "registry"}],
    "env": [
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
        {"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "key", "optional": True}}},
        {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "modes", "key": "mode"}}},
    ],
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    "nodeSelector": {"zone": "a"},
}


def simple(kind: str, name: str, namespace: str = "other", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


PRESENT = (
    simple("Secret", "registry"),
    simple("Secret", "keys"),
    simple("ConfigMap", "modes"),
    simple("ServiceAccount", "trainer"),
    simple("PersistentVolumeClaim", "data"),
    simple("PersistentVolumeClaim", "runs"),
)


def node(name: str, cpu: str = "8", memory: str = "32Gi", **labels: str) -> dict[str, Any]:
    status = {"allocatable": {"cpu": cpu, "memory": memory}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


class Target:
    """A cluster in whose namespace `other` a run of `team` is to go on."""

    def __init__(
        self,
        *objects: dict[str, Any],
        present: tuple[dict[str, Any], ...] = PRESENT,
        mapping: dict[str, Any] | None = None,
    ) -> None:
        self.harness = Harness([MigrationController, TrainingJobController])
        allowed = {"sojourn.dev/allowed-namespaces": "team"}
        self.harness.world.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other", "annotations": allowed}}
        )
        for namespace in ("team", "other"):
            self._store(namespace)
        for obj in (*present, *objects):
            self._create(obj)
        spec = {**JOB["spec"], "podTemplate": POD, "workers": {"replicas": 2, "resources": {"cpu": "4"}}}
        self.harness.create({**JOB, "metadata": {"name": "digits", "namespace": "team"}, "spec": spec})
        self.harness.patch_status(TRAINING_JOBS, "team", "digits", runId="run")
        self.harness.settle()
        migration = {"source": {"trainingJob": "digits"}, "target": {"namespace": "other"}, "mode": "Cold"}
        self.harness.create(
            {
                "apiVersion": MIGRATIONS.api_version,
                "kind": "Migration",
                "metadata": {"name": "go", "namespace": "team"},
                "spec": {**migration, "resume": {}, "dryRun": True, "mapping": mapping or {}},
            }
        )
        self.harness.advance(10)

    def _create(self, obj: dict[str, Any]) -> None:
        made = self.harness.create(obj)["metadata"]
        if "status" in obj:
            resource = {"Node": NODES, "ResourceQuota": RESOURCE_QUOTAS}[obj["kind"]]
            self.harness.patch_status(resource, made.get("namespace", ""), made["name"], **obj["status"])

    def _store(self, namespace: str) -> None:
        store = {"metadata": {"name": "runs", "namespace": namespace}, "spec": {"pvc": {"claimName": "runs"}}}
        self.harness.create({"apiVersion": CHECKPOINT_STORES.api_version, "kind": "CheckpointStore", **store})
        ready = with_conditions((), [condition("Ready", True, "Probed")], 1, self.harness.clock.now())
        told = {"conditions": ready, "lastProbeTime": rfc3339(self.harness.clock.now()), "storeId": namespace}
        self.harness.patch_status(CHECKPOINT_STORES, namespace, "runs", **told)

    @property
    def plan(self) -> Any:
        return self.harness.one(MIGRATIONS, "team", "go")["status"]["plan"]

    @property
    def problems(self) -> list[str]:
        return list(self.plan["problems"])

    def notes(self, check: str) -> list[str]:
        return [note for note in self.plan["notes"] if note.startswith(check)]


QUOTA = {"hard": {"requests.cpu": "6", "pods": "10"}, "used": {"requests.cpu": "0", "pods": "0"}}
TIGHT = {"hard": {"cpu": "10"}, "used": {"cpu": "3"}}


def test_where_everything_is_there_nothing_stands_in_the_way() -> None:
    target = Target(node("a", zone="a"))
    assert target.problems == []
    assert target.harness.names(TRAINING_JOBS, "other") == []
    for check in ("Secrets", "ConfigMaps", "ServiceAccounts", "Claims", "Quota", "Limits", "Nodes"):
        assert target.notes(check) == []
    (unknown,) = target.notes("Versions not checked")
    assert "unknown" in unknown


@pytest.mark.parametrize(
    ("missing", "reason", "mapping"),
    [
        ("keys", "SecretNotFound", "secrets"),
        ("registry", "SecretNotFound", "secrets"),
        ("modes", "ConfigMapNotFound", "configMaps"),
        ("trainer", "ServiceAccountNotFound", "serviceAccounts"),
        ("data", "ClaimNotFound", "claims"),
    ],
)
def test_what_the_pods_would_lack_is_named_with_its_mapping(missing: str, reason: str, mapping: str) -> None:
    left = tuple(obj for obj in PRESENT if obj["metadata"]["name"] != missing)
    target = Target(node("a", zone="a"), present=left)
    (problem,) = target.problems
    assert problem.startswith(f"{reason}: ")
    assert missing in problem
    assert f"spec.mapping.{mapping}" in problem
    (kind,) = (obj["kind"] for obj in PRESENT if obj["metadata"]["name"] == missing)
    other = simple(kind, "there-already")
    mapped = Target(node("a", zone="a"), other, present=left, mapping={mapping: {missing: "there-already"}})
    assert mapped.problems == []


def test_a_job_waits_for_what_is_missing_and_goes_on_when_it_comes() -> None:
    target = Target(node("a", zone="a"), present=PRESENT[1:])
    target.harness.patch(MIGRATIONS, "team", "go", {"spec": {"dryRun": False}})
    target.harness.advance(60)
    assert target.problems[0].startswith("SecretNotFound")
    assert target.harness.one(MIGRATIONS, "team", "go")["status"]["phase"] == "Preflight"
    target.harness.create(simple("Secret", "registry"))
    target.harness.advance(60)
    assert target.problems == []
    assert target.notes("Versions not checked")
    assert target.harness.one(MIGRATIONS, "team", "go")["status"]["phase"] == "Standby"


def test_no_secret_is_made_or_read() -> None:
    target = Target(node("a", zone="a"))
    assert not [write for write in target.harness.port.writes if "registry" in write]
    assert not OPERATOR.allows("get", SECRETS)
    with pytest.raises(Forbidden):
        target.harness.port.get(SECRETS, "other", "keys")


@pytest.mark.parametrize(
    ("obj", "reason", "words"),
    [
        (simple("ResourceQuota", "q", status=QUOTA), "QuotaTooSmall", "2 pods ask for 8 of requests.cpu"),
        (
            simple("LimitRange", "l", spec={"limits": [{"type": "Container", "max": {"cpu": "2"}}]}),
            "LimitExceeded",
            "asks for 4 of cpu",
        ),
    ],
)
def test_what_can_never_fit_is_a_problem(obj: dict[str, Any], reason: str, words: str) -> None:
    (problem,) = Target(node("a", zone="a"), obj).problems
    assert problem.startswith(f"{reason}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("objects", "check", "words"),
    [
        ((node("a", zone="a"), simple("ResourceQuota", "q", status=TIGHT)), "Quota", "3 of 10 is in use"),
        ((node("a", zone="b"),), "Nodes", "0 nodes with label zone=a"),
        ((node("a", cpu="7", zone="a"),), "Nodes", "1 of 2 pods"),
    ],
)
def test_what_may_have_to_wait_is_a_note(objects: tuple[dict[str, Any], ...], check: str, words: str) -> None:
    target = Target(*objects)
    assert target.problems == []
    (note,) = target.notes(check)
    assert words in note


def test_nodes_that_may_not_be_listed_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helpers.operator.HERE", (OPERATOR, KUBERAY, GATEWAY, without_nodes()))
    target = Target()
    assert target.problems == []
    assert target.notes("Nodes") == ["Nodes not checked: no right to list nodes"]


def without_nodes() -> Role:
    rights = tuple(replace(right, resources=tuple({*right.resources} - {NODES})) for right in CLUSTER.rights)
    return replace(CLUSTER, rights=rights)


def test_every_check_that_can_fail_has_a_reason() -> None:
    assert set(LACKING) == {"Secrets", "ConfigMaps", "ServiceAccounts", "Claims", "Quota", "Limits"}
