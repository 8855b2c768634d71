"""RayJobs: the object as a golden file, and the rules that KubeRay's own validation has."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.attempts import attempt
from sojourn_operator.engines.kuberay import RAY_VERSION, KubeRayEngine

ENGINE = KubeRayEngine()


def rayjob(**changes: Any) -> dict[str, Any]:
    return dict(ENGINE.workload(attempt(changes, engine="KubeRay")))


def cluster_of(obj: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = obj["spec"]["rayClusterSpec"]
    return spec


def containers(obj: dict[str, Any]) -> list[dict[str, Any]]:
    spec = cluster_of(obj)
    groups = [spec["headGroupSpec"], *spec.get("workerGroupSpecs", ())]
    return [container for group in groups for container in group["template"]["spec"]["containers"]]


def test_the_objects(golden: Callable[[str, str], None]) -> None:
    it = attempt(engine="KubeRay")
    objects = json.loads(json.dumps([*ENGINE.services(it), ENGINE.workload(it)]))
    golden("operator/rayjob.yaml", yaml.safe_dump_all(objects, sort_keys=True, width=120))


def test_ray_is_that_of_the_trainers_image(repository: Path) -> None:
    pins = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]["trainer"]
    assert f"ray[default,train]=={RAY_VERSION}" in pins
    assert cluster_of(rayjob())["rayVersion"] == RAY_VERSION


def test_the_rules_of_kuberays_validation() -> None:
    """ray-operator/controllers/ray/utils/validation.go of KubeRay v1.7.0."""
    it = rayjob()
    spec = it["spec"]
    assert len(it["metadata"]["name"]) <= 47
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", it["metadata"]["name"])
    assert spec["shutdownAfterJobFinishes"]  # else it could not be suspended
    assert "clusterSelector" not in spec
    assert spec["backoffLimit"] == 0
    cluster = cluster_of(it)
    assert cluster["authOptions"] == {"mode": "token"}
    assert tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52, 0)
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    names = {entry["name"] for container in containers(it) for entry in container["env"]}
    assert not names & {"RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "REDIS_USERNAME", "RAY_enable_autoscaler_v2"}


def test_the_longest_names_still_fit() -> None:
    it = attempt(engine="KubeRay")
    it["metadata"]["name"] = "d" * 40 + "-99999"
    assert len(ENGINE.workload(it)["metadata"]["name"]) <= 47


def test_our_supervisor_is_the_command_of_every_pod() -> None:
    it = rayjob()
    assert it["metadata"]["annotations"]["ray.io/overwrite-container-cmd"] == "true"
    roles = [
        {entry["name"]: entry.get("value") for entry in container["env"]}["SOJOURN_ROLE"]
        for container in containers(it)
    ]
    assert roles == ["head", "worker"]
    assert {tuple(container["command"]) for container in containers(it)} == {
        ("python", "-m", "sojourn_trainer.node", "pod")
    }


def test_one_worker_is_the_head_alone() -> None:
    it = rayjob(**{"spec.workers.replicas": 1})
    assert "workerGroupSpecs" not in cluster_of(it)


@pytest.mark.parametrize(
    ("status", "suspended", "end"),
    [
        ({}, False, None),
        ({"jobDeploymentStatus": "Running"}, False, None),
        ({"jobDeploymentStatus": "Suspended"}, True, None),
        ({"jobDeploymentStatus": "Complete"}, False, "Complete"),
        ({"jobDeploymentStatus": "Failed", "message": "why"}, False, "Failed"),
        ({"jobDeploymentStatus": "ValidationFailed", "message": "why"}, False, "Failed"),
    ],
    ids=str,
)
def test_how_it_stands(status: dict[str, Any], suspended: bool, end: str | None) -> None:
    seen = ENGINE.observe({**rayjob(), "status": status})
    assert (seen.suspended, seen.end, seen.message) == (suspended, end, status.get("message", ""))
