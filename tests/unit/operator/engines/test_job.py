"""The objects that an attempt becomes, as golden files: their diff shows in review what a change does to pods."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from helpers.attempts import DEFAULTS, attempt
from helpers.manifests import JOB
from sojourn_operator.engines.access import access_objects, token_secret
from sojourn_operator.engines.job import JobEngine

Golden = Callable[[str, str], None]
ENGINE = JobEngine()


def pod_spec(obj: Any) -> dict[str, Any]:
    spec: dict[str, Any] = obj["spec"]["template"]["spec"]
    return spec


def container(obj: Any) -> dict[str, Any]:
    (only,) = pod_spec(obj)["containers"]
    return dict(only)


def env(obj: Any) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(obj)["env"]}


def as_yaml(*objects: Any) -> str:
    # Through JSON, so that no part is shared and written as an alias.
    return yaml.safe_dump_all(json.loads(json.dumps(objects)), sort_keys=True, width=120)


def test_a_plain_job(golden: Golden) -> None:
    it = attempt()
    golden("operator/job.yaml", as_yaml(*ENGINE.services(it), ENGINE.workload(it)))


def test_a_job_with_everything(golden: Golden) -> None:
    it = attempt(
        {
            "spec.workers": {"replicas": 4, "resources": {"cpu": "3500m", "memory": "16Gi", "gpu": 2}},
            "spec.image": "registry.example/team/trainer@sha256:" + 64 * "0",
            "spec.imagePullPolicy": "Always",
            "spec.terminationGracePeriodSeconds": 300,
            "spec.task.code": {"configMap": {"name": "digits-code"}},
            "spec.podTemplate": {
                "labels": {"team": "vision", "sojourn.dev/job": "not-ours"},
                "annotations": {"example.com/cost-centre": "7"},
                "nodeSelector": {"accelerator": "a100"},
                "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
                "imagePullSecrets": [{"name": "team-registry"}],
                "env": [{"name": "TF_CPP_MIN_LOG_LEVEL", "value": "1"}, {"name": "POD_NAME", "value": "not-ours"}],
                "volumes": [{"name": "datasets", "persistentVolumeClaim": {"claimName": "datasets"}}],
                "volumeMounts": [{"name": "datasets", "mountPath": "/datasets", "readOnly": True}],
                "priorityClassName": "batch",
                "schedulerName": "gang",
                "runtimeClassName": "nvidia",
                "serviceAccountName": "vision",
                "sharedMemory": "4Gi",
            },
        },
        store={
            "name": "archive",
            "uri": "s3://runs/archive",
            "region": "eu-central-1",
            "endpoint": "https://objects.example",
            "secretRef": {"name": "archive-keys"},
        },
        restoreStore={"name": "old", "pvc": {"claimName": "old", "path": "runs"}},
    )
    it["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "team-queue"
    golden("operator/job-with-everything.yaml", as_yaml(*ENGINE.services(it), ENGINE.workload(it)))


def test_what_belongs_to_the_job_as_a_whole(golden: Golden) -> None:
    job = {**JOB, "metadata": {"name": "digits", "namespace": "team", "uid": "job-uid"}}
    objects = access_objects(job, ["digits-1"], None, ENGINE.head_labels)
    golden("operator/job-access.yaml", as_yaml(token_secret(job, "0123"), *objects))


def test_a_service_account_of_ones_own_is_bound_and_not_made() -> None:
    job = {**JOB, "metadata": {"name": "digits", "namespace": "team", "uid": "job-uid"}}
    objects = access_objects(job, ["digits-1"], "vision", ENGINE.head_labels)
    assert "ServiceAccount" not in [obj["kind"] for obj in objects]
    (binding,) = [obj for obj in objects if obj["kind"] == "RoleBinding"]
    assert [subject["name"] for subject in binding["subjects"]] == ["vision"]


def test_the_jobs_own_environment_replaces_nothing_of_ours() -> None:
    own = [{"name": "RAY_AUTH_MODE", "value": "disabled"}, {"name": "POD_IP", "value": "1.2.3.4"}]
    workload = ENGINE.workload(attempt({"spec.podTemplate": {"env": own}}))
    assert env(workload)["RAY_AUTH_MODE"] == "token"
    assert env(workload)["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    names = [entry["name"] for entry in container(workload)["env"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("store", "address", "shown"),
    [
        ({"pvc": {"claimName": "runs"}}, "/sojourn/store", "pvc://runs"),
        ({"pvc": {"claimName": "runs", "path": "a/b"}}, "/sojourn/store/a/b", "pvc://runs/a/b"),
        ({"uri": "pvc://runs/a"}, "/sojourn/store/a", "pvc://runs/a"),
        ({"uri": "gs://bucket/runs"}, "gs://bucket/runs", "gs://bucket/runs"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_where_the_store_is(store: dict[str, Any], address: str, shown: str) -> None:
    workload = ENGINE.workload(attempt(store=store))
    assert (env(workload)["SOJOURN_STORE"], env(workload)["SOJOURN_STORE_URI"]) == (address, shown)


def test_chips_of_a_slice_are_shared_out_evenly() -> None:
    workload = ENGINE.workload(
        attempt(
            {
                "spec.strategy": "TPUStrategy",
                "spec.workers": {
                    "replicas": 4,
                    "tpu": {"accelerator": "tpu-v5-lite-podslice", "topology": "4x4"},
                },
            }
        )
    )
    assert container(workload)["resources"]["limits"]["google.com/tpu"] == "4"
    assert pod_spec(workload)["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "4x4",
    }


def test_the_image_is_frozen_with_the_attempt() -> None:
    assert container(ENGINE.workload(attempt()))["image"] == DEFAULTS.image
    assert pod_spec(ENGINE.workload(attempt()))["imagePullSecrets"] == [{"name": "pull"}]
    own = ENGINE.workload(attempt({"spec.image": "mine:1"}))
    assert container(own)["image"] == "mine:1"
    assert "imagePullPolicy" not in container(own)
    assert "imagePullSecrets" not in pod_spec(own)
