"""What keeps a job from starting, and which changes of a job make another attempt."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.manifests import JOB, changed
from sojourn.api import TrainingJobSpec
from sojourn_operator.trainingjob.feasible import check_feasible
from sojourn_operator.trainingjob.frozen import ImageDefaults, differs, freeze

DEFAULTS = ImageDefaults("sojourn-trainer:1", pull_secrets=("pull",))


def store(status: str = "True", **spec: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "reason": "Probed", "message": "two writers raced"}
    return {"spec": spec, "status": {"conditions": [ready]}}


STORES = {
    "runs": store(pvc={"claimName": "runs"}),
    "keys": store(uri="s3://a/b", secretRef={"name": "keys"}, region="eu"),
    "others": store(uri="s3://c/d", secretRef={"name": "others"}),
    "refused": store("False", uri="s3://e/f"),
    "folder": store(uri="file:///runs"),
    "new": {"spec": {"uri": "s3://g/h"}},
}


def spec(**changes: Any) -> TrainingJobSpec:
    names = {f"spec.{name.replace('__', '.')}": value for name, value in changes.items()}
    return TrainingJobSpec.from_manifest(changed(JOB, names)["spec"])


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({}, "Checked", ""),
        ({"checkpoint": {}}, "NoStore", "spec.checkpoint.store"),
        ({"checkpoint__store": {"name": "nowhere"}}, "StoreNotFound", "nowhere"),
        ({"checkpoint__store": {"name": "refused"}}, "StoreNotReady", "two writers raced"),
        ({"checkpoint__store": {"name": "new"}}, "StoreNotReady", "not tried yet"),
        ({"checkpoint__store": {"name": "folder"}}, "LocalStore", "pvc://"),
        ({"checkpoint__store": {"uri": "file:///runs"}}, "LocalStore", "pvc://"),
        ({"checkpoint__store": {"uri": "s3://bucket/runs"}}, "Checked", ""),
        ({"task__code": {"directory": {"path": "."}}}, "LocalCode", "sojourn submit"),
        (
            {
                "strategy": "TPUStrategy",
                "workers": {"replicas": 3, "tpu": {"accelerator": "v5", "topology": "2x4"}},
                "training__globalBatchSize": 63,
            },
            "InvalidTopology",
            "2x4",
        ),
        (
            {"checkpoint__store": {"name": "keys"}, "restoreFrom": {"checkpoint": "a", "store": {"name": "others"}}},
            "TwoCredentials",
            "keys, others",
        ),
    ],
    ids=str,
)
def test_what_keeps_a_job_from_starting(changes: dict[str, Any], reason: str, words: str) -> None:
    found = check_feasible(spec(**changes), STORES)
    assert found.reason == reason
    assert words in found.message
    assert found.ok == (reason == "Checked")


def test_stores_are_found_with_what_pods_need_to_reach_them() -> None:
    found = check_feasible(
        spec(checkpoint__store={"name": "keys"}, restoreFrom={"checkpoint": "old@best", "store": {"name": "runs"}}),
        STORES,
    )
    assert found.store == {"name": "keys", "uri": "s3://a/b", "secretRef": {"name": "keys"}, "region": "eu"}
    assert found.restore_store == {"name": "runs", "pvc": {"claimName": "runs"}}


@pytest.mark.parametrize(
    "changes",
    [
        {"workers": {"replicas": 4}},
        {"training__epochs": 6},
        {"image": "mine:2"},
        {"podTemplate": {"labels": {"team": "a"}}},
        {"checkpoint__every": {"steps": 7}},
        {"terminationGracePeriodSeconds": 90},
    ],
    ids=str,
)
def test_what_pods_are_made_of_makes_another_attempt(changes: dict[str, Any]) -> None:
    frozen = freeze(spec(), DEFAULTS)
    assert not differs(spec(), frozen)
    assert differs(spec(**changes), frozen)


@pytest.mark.parametrize(
    "changes",
    [
        {"suspend": True},
        {"backoffLimit": 0},
        {"checkpoint__request": "now"},
        {"activeDeadlineSeconds": 1},
        {"ttlSecondsAfterFinished": 1},
        {"startupDeadlineSeconds": 1},
    ],
    ids=str,
)
def test_what_they_do_not_see_does_not(changes: dict[str, Any]) -> None:
    assert not differs(spec(**changes), freeze(spec(), DEFAULTS))


def test_another_default_image_does_not() -> None:
    assert not differs(spec(), freeze(spec(), ImageDefaults("sojourn-trainer:0", "Always")))


def test_an_image_of_ones_own_is_taken_as_it_is() -> None:
    frozen = freeze(spec(image="mine:1"), DEFAULTS)
    assert frozen["image"] == "mine:1"
    assert "imagePullPolicy" not in frozen
    assert differs(spec(image="mine:2"), frozen)


def test_a_spec_of_another_version_is_left_alone() -> None:
    assert not differs(spec(), {**freeze(spec(), DEFAULTS), "quantum": True})
