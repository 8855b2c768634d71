"""Names that differ at the target."""

from __future__ import annotations

import pytest

from sojourn_operator.migration.mapping import mapped_image, mapped_pod, target_job_spec
from sojourn_operator.migration.observe import places


def test_every_name_in_a_pod_is_mapped() -> None:
    pod = {
        "imagePullSecrets": [{"name": "pull"}, {"name": "kept"}],
        "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "b"}}},
            {"name": "C", "value": "keys"},
        ],
        "volumes": [
            {"name": "v", "secret": {"secretName": "keys"}},
            {"name": "w", "persistentVolumeClaim": {"claimName": "data"}},
            {
                "name": "x",
                "projected": {"sources": [{"secret": {"name": "keys"}}, {"configMap": {"name": "settings"}}]},
            },
        ],
        "serviceAccountName": "trainer",
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "nodeSelector": {"gpu": "a100", "zone": "east-1", "kept": "yes"},
    }
    mapping = {
        "secrets": {"pull": "pull-west", "keys": "keys-west"},
        "configMaps": {"settings": "settings-west"},
        "claims": {"data": "data-west"},
        "serviceAccounts": {"trainer": "trainer-west"},
        "priorityClasses": {"high": "urgent"},
        "runtimeClasses": {"gvisor": "kata"},
        "nodeSelectors": {"gpu=a100": "accelerator=h100", "zone=east-1": ""},
    }
    assert mapped_pod(pod, mapping) == {
        "imagePullSecrets": [{"name": "pull-west"}, {"name": "kept"}],
        "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys-west", "key": "a"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings-west", "key": "b"}}},
            {"name": "C", "value": "keys"},
        ],
        "volumes": [
            {"name": "v", "secret": {"secretName": "keys-west"}},
            {"name": "w", "persistentVolumeClaim": {"claimName": "data-west"}},
            {
                "name": "x",
                "projected": {"sources": [{"secret": {"name": "keys-west"}}, {"configMap": {"name": "settings-west"}}]},
            },
        ],
        "serviceAccountName": "trainer-west",
        "priorityClassName": "urgent",
        "runtimeClassName": "kata",
        "nodeSelector": {"accelerator": "h100", "kept": "yes"},
    }
    assert pod["serviceAccountName"] == "trainer"


@pytest.mark.parametrize(
    ("image", "mapped"),
    [
        ("east.example/team/trainer:1", "west.example/team/trainer:1"),
        ("east.example/base:2", "mirror.example/base:2"),
        ("east.example.org/trainer:1", "east.example.org/trainer:1"),
        ("trainer:1", "trainer-west:1"),
        ("trainer2:1", "trainer2:1"),
    ],
)
def test_the_longest_beginning_of_an_image_is_replaced(image: str, mapped: str) -> None:
    images = {"east.example": "west.example", "east.example/base": "mirror.example/base", "trainer": "trainer-west"}
    assert mapped_image(image, images) == mapped


def test_resume_changes_what_it_names_and_nothing_else() -> None:
    source = {
        "task": {"entrypoint": "m:f", "code": {"configMap": {"name": "code"}}},
        "workers": {"replicas": 2, "resources": {"cpu": "1", "memory": "1Gi"}},
        "checkpoint": {"store": {"name": "runs"}, "request": "now"},
        "restoreFrom": {"checkpoint": "older@best"},
        "suspend": False,
    }
    resume = {"workers": 4, "resources": {"cpu": "2"}}
    assert target_job_spec(source, {"configMaps": {"code": "code-west"}}, resume) == {
        "task": {"entrypoint": "m:f", "code": {"configMap": {"name": "code-west"}}},
        "workers": {"replicas": 4, "resources": {"cpu": "2", "memory": "1Gi"}},
        "checkpoint": {"store": {"name": "runs"}},
        "suspend": True,
    }
    assert source["suspend"] is False


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("digits", "digits"),
        ("my-digits", "my-digits"),
        ("my-digits-0b7c2f0e-3a52-4f0e-9c38-8a9f3c5d7b11", "my-digits"),
        ("team/my-digits-0b7c2f0e-3a52-4f0e-9c38-8a9f3c5d7b11", "my-digits"),
    ],
)
def test_the_name_of_a_run_is_found_in_its_address(run: str, name: str) -> None:
    migration = {
        "metadata": {"name": "go", "namespace": "team", "uid": "u"},
        "spec": {"mode": "Copy", "source": {"run": {"storeRef": {"name": "runs"}, "name": run}}},
    }
    assert places(migration).target_name == name
