"""The models and the CRDs refuse the same manifests, in the same place and the same words."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from helpers.api_server import defaulted, judge
from helpers.manifests import (
    ATTEMPT,
    ATTEMPT_UPDATES,
    BROKEN_ATTEMPTS,
    BROKEN_JOBS,
    BROKEN_OTHERS,
    BROKEN_STORES,
    CHECKPOINT,
    CLUSTER,
    JOB,
    JOB_UPDATES,
    MIGRATION,
    OTHER_UPDATES,
    REMOVED,
    SERVER,
    STORE,
    TRANSFER,
    Broken,
    changed,
)
from sojourn.api import InvalidManifest, TrainingJob, parse, spec_digest
from sojourn.api.crds import KINDS, definition
from sojourn.api.load import KINDS as KINDS_BY_NAME

CRDS = {kind.name: definition(kind) for kind in KINDS}
EVERY_KIND = (JOB, ATTEMPT, STORE, CHECKPOINT, CLUSTER, TRANSFER, MIGRATION, SERVER)
BROKEN = [
    *((JOB, broken) for broken in BROKEN_JOBS),
    *((STORE, broken) for broken in BROKEN_STORES),
    *((ATTEMPT, broken) for broken in BROKEN_ATTEMPTS),
    *BROKEN_OTHERS,
]
VALID_CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (JOB, {}),
    (JOB, {"spec.workers.resources": {"cpu": "500m", "memory": 1073741824, "gpu": 2}}),
    (JOB, {"spec.strategy": "MirroredStrategy", "spec.workers": {"devices": 2}}),
    (JOB, {"spec.strategy": "TPUStrategy", "spec.workers.tpu": {"accelerator": "tpu-v5e", "topology": "2x2x4"}}),
    (JOB, {"spec.training": {"globalBatchSize": 2, "steps": 1, "mode": "Fast", "threads": {"intraOp": 0}}}),
    (JOB, {"spec.data.split": {"validation": 0.2, "test": 0.7}}),
    (
        JOB,
        {
            "spec.data": {
                "source": {
                    "tfrecord": {
                        "path": "/data",
                        "inputs": [{"name": "x", "shape": [3]}, {"name": "p", "form": "Image", "shape": [8, 8, 3]}],
                        "label": {"name": "y", "form": "Int"},
                    }
                },
                "fillMissing": {"constant": {"value": -1.5}},
                "outliers": {"zScore": {"limit": 4.0}, "action": "Drop"},
                "normalize": "Standard",
            }
        },
    ),
    (JOB, {"spec.data.source": {"images": {"path": "/data", "height": 8, "width": 8, "colour": "Grey"}}}),
    (JOB, {"spec.data": None, "spec.checkpoint": None}),
    (JOB, {"spec.restoreFrom": {"checkpoint": "other@12", "store": {"uri": "pvc://claim/runs"}}}),
    (JOB, {"spec.export": {"formats": ["SavedModel", "Keras", "H5"]}}),
    (JOB, {"spec.managedBy": "kueue.x-k8s.io/multikueue"}),
    (
        JOB,
        {
            "spec.engine": "KubeRay",
            "spec.image": "registry.example:5000/team/trainer@sha256:" + 64 * "0",
            "spec.podTemplate": {
                "nodeSelector": {"zone": "a"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "affinity": {"nodeAffinity": {}},
                "env": [
                    {"name": "A", "value": "b"},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "c"}}},
                ],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
                "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
            },
        },
    ),
    (ATTEMPT, {}),
    (ATTEMPT, {"spec.store": {"uri": "pvc://runs/here"}, "spec.stop": {"token": "t", "reason": "Migrate"}}),
    (
        ATTEMPT,
        {
            "status": {
                "phase": "Running",
                "head": {"uid": "0f3b"},
                "run": {"term": 3},
                "lastCommit": {
                    "step": 3,
                    "epoch": 0,
                    "manifest": "blake3:" + 64 * "0",
                    "time": "2025-01-31T12:00:00Z",
                    "metrics": {"loss": 1},
                    "checkpoint": "data/3-1-5f0c",
                },
                "evicted": [{"pod": "digits-1-0", "time": "2025-01-31T12:00:00Z"}],
                "workers": {"ready": 1},
            }
        },
    ),
    (CHECKPOINT, {}),
    (CHECKPOINT, {"status": {"best": True, "quality": "loss=0.25", "size": "1.2GiB"}}),
    (CLUSTER, {}),
    (CLUSTER, {"spec.allowedNamespaces": ["*"], "status": {"crdVersions": {"trainingjobs": "0.1.0"}}}),
    (TRANSFER, {}),
    (TRANSFER, {"spec": {"role": "Receive", "target": {"storeRef": {"uri": "pvc://runs"}}, "bandwidthLimit": "25M"}}),
    (TRANSFER, {"spec.exposure": {"type": "Address", "address": "198.51.100.7"}, "spec.resources": {"cpu": "500m"}}),
    (TRANSFER, {"status": {"phase": "Running", "run": {"runId": "a"}, "progress": {"done": 1, "unit": "bytes"}}}),
    (MIGRATION, {}),
    (MIGRATION, {"spec.source": {"run": {"storeRef": {"name": "old"}, "name": "digits"}}}),
    (MIGRATION, {"spec.mapping": {"nodeSelectors": {"zone=a": "zone=b", "gpu=yes": ""}, "secrets": {"a": "b"}}}),
    (MIGRATION, {"spec.resume": REMOVED, "spec.serve": {"replicas": 2, "resources": {"cpu": 1}}}),
    (MIGRATION, {"status": {"plan": {"bytes": 3, "steps": [{"do": "this"}]}, "seconds": {"Transfer": 1.5}}}),
    (SERVER, {}),
    (SERVER, {"spec.exposure": {"ingress": {"host": "models.example.com", "tlsSecretName": "tls"}}}),
    (SERVER, {"spec.exposure": {"httpRoute": {"gateway": {"name": "public"}, "hostnames": ["*.example.com"]}}}),
    (
        SERVER,
        {"status": {"versions": [{"revision": "v3-1a2b3c4d", "version": 3, "state": "Active"}], "selector": "a=b"}},
    ),
    (STORE, {}),
    (STORE, {"spec": {"uri": "file:///runs"}}),
    (STORE, {"spec": {"pvc": {"claimName": "runs", "path": "a/..b"}}}),
    (STORE, {"spec": {"pvc": {"claimName": "runs"}}}),
    (STORE, {"spec.secretRef": {"name": "keys"}, "spec.endpoint": "http://127.0.0.1:9000", "spec.region": "eu"}),
]


@pytest.mark.parametrize(("manifest", "broken"), BROKEN, ids=lambda it: str(it) if isinstance(it, Broken) else "")
def test_a_broken_manifest_is_refused_by_both(manifest: dict[str, Any], broken: Broken) -> None:
    wrong = changed(manifest, broken.changes)
    with pytest.raises(InvalidManifest) as refused:
        parse(yaml.safe_dump(wrong))
    problems = refused.value.problems
    assert [problem.field for problem in problems] == [broken.field], str(refused.value)
    assert broken.words in str(problems[0])
    complaints = judge(CRDS[manifest["kind"]], wrong)
    assert complaints
    if broken.words and problems[0].expected == "":
        assert any(broken.words in complaint for complaint in complaints), complaints


@pytest.mark.parametrize(("manifest", "changes"), VALID_CHANGES, ids=str)
def test_a_valid_manifest_is_taken_by_both(manifest: dict[str, Any], changes: dict[str, Any]) -> None:
    right = changed(manifest, changes)
    (loaded,) = parse(yaml.safe_dump(right))
    assert judge(CRDS[manifest["kind"]], right) == []
    assert judge(CRDS[manifest["kind"]], loaded.obj.to_manifest()) == []


@pytest.mark.parametrize(("changes", "field"), JOB_UPDATES, ids=str)
def test_an_update_may_change_what_does_not_define_the_run(changes: dict[str, Any], field: str) -> None:
    complaints = judge(CRDS["TrainingJob"], changed(JOB, changes), JOB)
    assert [complaint.split(":")[0] for complaint in complaints] == ([field] if field else []), complaints


@pytest.mark.parametrize(("changes", "field"), ATTEMPT_UPDATES, ids=str)
def test_an_attempt_stays_what_it_was_made_for(changes: dict[str, Any], field: str) -> None:
    complaints = judge(CRDS["TrainingAttempt"], changed(ATTEMPT, changes), ATTEMPT)
    assert [complaint.split(":")[0] for complaint in complaints] == ([field] if field else []), complaints


@pytest.mark.parametrize(("manifest", "changes", "field"), OTHER_UPDATES, ids=str)
def test_an_update_may_change_what_is_not_settled(
    manifest: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    complaints = judge(CRDS[manifest["kind"]], changed(manifest, changes), manifest)
    assert [complaint.split(":")[0] for complaint in complaints] == ([field] if field else []), complaints


@pytest.mark.parametrize(("changes", "field"), JOB_UPDATES, ids=str)
def test_the_digest_changes_with_what_defines_the_run(changes: dict[str, Any], field: str) -> None:
    before, after = TrainingJob.from_manifest(JOB), TrainingJob.from_manifest(changed(JOB, changes))
    placed = {"spec.restoreFrom", "spec.checkpoint.store", "spec.managedBy", "spec.engine"}
    assert (spec_digest(before) != spec_digest(after)) == (field != "" and field not in placed)


def test_a_directory_of_code_is_for_one_machine_only() -> None:
    local = changed(JOB, {"spec.task.code": {"directory": {"path": "."}}})
    assert TrainingJob.from_manifest(local).spec.task.code is not None
    (complaint,) = judge(CRDS["TrainingJob"], local)
    assert complaint.startswith("spec.task.code.directory: directory is for `sojourn run`")


def test_a_store_keeps_its_place() -> None:
    moved = changed(STORE, {"spec.uri": "s3://other"})
    assert judge(CRDS["CheckpointStore"], moved, STORE) == [
        "spec.uri: uri cannot be set, changed or removed later: runs refer to the store by its name"
    ]
    assert judge(CRDS["CheckpointStore"], changed(STORE, {"spec.region": "eu"}), STORE) == []


@pytest.mark.parametrize("manifest", EVERY_KIND, ids=lambda manifest: manifest["kind"])
def test_defaults_are_those_of_the_crd(manifest: dict[str, Any]) -> None:
    model = KINDS_BY_NAME[manifest["kind"]]
    schema = CRDS[model.__name__]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    by_server = model.from_manifest(defaulted(schema, manifest))
    assert by_server == model.from_manifest(manifest)


def test_every_kind_is_tried() -> None:
    assert {manifest["kind"] for manifest in EVERY_KIND} == set(KINDS_BY_NAME) == set(CRDS)
