"""What the operator makes of every TrainingJob in manifests/examples, as golden files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from sojourn.api import TrainingJob, load_manifests
from sojourn_operator.engines import ENGINES
from sojourn_operator.trainingjob.feasible import check_feasible
from sojourn_operator.trainingjob.frozen import ImageDefaults, freeze

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/examples"
JOBS = [
    (path, loaded.obj)
    for path in sorted((ROOT / "manifests/examples").rglob("*.yaml"))
    for loaded in load_manifests(path)
    if isinstance(loaded.obj, TrainingJob)
]
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Probed",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
STORES = {
    document["metadata"]["name"]: {**document, "status": {"conditions": [READY]}}
    for document in yaml.safe_load_all((ROOT / "manifests/examples/checkpoint-store.yaml").read_text())
}


@pytest.mark.parametrize(("path", "job"), JOBS, ids=[f"{path.stem}-{job.name}" for path, job in JOBS])
def test_what_it_becomes(path: Path, job: TrainingJob) -> None:
    feasible = check_feasible(job.spec, STORES)
    if path.stem.startswith("cluster-"):
        assert feasible.ok, feasible.message
    elif not feasible.ok:
        # The others train without a cluster as well; one says `sojourn run --store` instead of a store.
        assert feasible.reason == "NoStore"
        return
    engine = ENGINES[job.spec.engine]
    made = attempt(job, dict(feasible.store or {}))
    compare(job.name, [*engine.services(made), engine.workload(made)])


def attempt(job: TrainingJob, store: dict[str, Any]) -> dict[str, Any]:
    labels = {"sojourn.dev/job": job.name, **job.metadata.labels}
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "TrainingAttempt",
        "metadata": {"name": f"{job.name}-1", "namespace": "team", "uid": "attempt-uid", "labels": labels},
        "spec": {
            "jobName": job.name,
            "number": 1,
            "engine": job.spec.engine,
            "job": freeze(job.spec, ImageDefaults("registry.example/sojourn-trainer:1")),
            "store": store,
        },
    }


def compare(name: str, objects: list[Any]) -> None:
    path = GOLDEN / f"{name}.yaml"
    # Through JSON, so that no part is shared and written as an alias.
    text = yaml.safe_dump_all(json.loads(json.dumps(objects)), sort_keys=True, width=120)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"differs from {path}; UPDATE_GOLDEN=1 accepts the change"
