"""The tasks that docs/guides/write-a-task.md shows train as they stand, packed as a job's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import LocalRun, events, job, new_store
from sklearn.datasets import load_digits

from sojourn.api import TrainingJob, load_manifests
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.store.base import Store
from sojourn.task.archive import pack
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
DIGITS = {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"}


def guide_run(store: Store, function: str, **changes: Any) -> LocalRun:
    """A run of one of the guide's tasks on one device."""
    code = pack(EXAMPLES)
    settings = {"strategy": "Default", "workers__replicas": 1, "data": None, **changes}
    manifest = job(task__entrypoint=f"tasks:{function}", task__code={"archive": {"digest": code.digest}}, **settings)
    return LocalRun(store, manifest, code=code.data)


def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.mark.parametrize(
    ("function", "changes"),
    [
        ("classifier", {"data": DIGITS}),
        ("with_data", {}),
        ("from_pipeline", {"task__args": {"global_batch": 128}}),
        ("with_a_step", {"data": DIGITS, "strategy": "MultiWorkerMirroredStrategy", "workers__replicas": 2}),
    ],
)
def test_a_task_of_the_guide_trains(function: str, changes: dict[str, Any], tmp_path: Path) -> None:
    attempt = guide_run(new_store(tmp_path), function, **changes).attempt(environment(tmp_path))
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    assert attempt.of(events.EpochEnd)[0].metrics["loss"] < 10


def test_rows_are_read_from_files_as_they_are_needed(tmp_path: Path) -> None:
    digits = load_digits()
    files = {"images": str(tmp_path / "images.npy"), "labels": str(tmp_path / "labels.npy")}
    np.save(files["images"], digits.images.astype(np.uint8))
    np.save(files["labels"], digits.target)
    attempt = guide_run(new_store(tmp_path), "from_files", task__args=files).attempt(environment(tmp_path))
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure


def test_a_callbacks_own_state_outlives_a_stop(tmp_path: Path) -> None:
    """Two epochs, an end, one more epoch: the callback has seen three."""
    store = new_store(tmp_path)
    for epochs in (2, 3):
        run = guide_run(store, "whole_task", training={"globalBatchSize": 128, "epochs": epochs, "seed": 7})
        attempt = run.attempt(environment(tmp_path))
        assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
        assert "val_accuracy" in attempt.result.metrics
    latest = run.log.refresh().latest
    assert latest is not None
    saved = CheckpointReader(store, run.log.prefix, latest).manifest.meta.callbacks["LossCurve"]
    assert len(saved["state"]["losses"]) == 3


def test_the_script_of_the_guide_trains(tmp_path: Path) -> None:
    (loaded,) = load_manifests(EXAMPLES / "script.yaml")
    assert isinstance(loaded.obj, TrainingJob)
    manifest = loaded.obj.to_manifest()
    code = pack(EXAMPLES / manifest["spec"]["task"]["code"]["directory"]["path"])
    manifest["spec"]["task"]["code"] = {"archive": {"digest": code.digest}}
    run = LocalRun(new_store(tmp_path), TrainingJob.from_manifest(manifest), code=code.data)
    attempt = run.attempt(environment(tmp_path))
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    assert attempt.result.metrics["val_accuracy"] > 0.85
