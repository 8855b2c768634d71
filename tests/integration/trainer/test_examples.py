"""The example manifests train to the quality that they promise; tasks of every form train at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness import LocalRun, events, job, new_store

from sojourn.api import TrainingJob, load_manifests
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

EXAMPLES = Path(__file__).parents[3] / "manifests" / "examples"


def example(name: str) -> TrainingJob:
    loaded = load_manifests(EXAMPLES / name)
    return next(item.obj for item in loaded if isinstance(item.obj, TrainingJob))


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [
        ("digits-mlp.yaml", "val_accuracy", 0.95),
        ("digits-cnn.yaml", "test_accuracy", 0.95),
        ("digits-mirrored.yaml", "val_accuracy", 0.9),
    ],
)
def test_an_example_reaches_its_quality(name: str, metric: str, least: float, tmp_path: Path) -> None:
    attempt = LocalRun(new_store(tmp_path), example(name)).attempt()
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    assert attempt.result.metrics[metric] >= least


def test_the_mnist_example_trains_on_an_archive_of_that_layout(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 600)
    images = np.zeros((600, 28, 28), np.uint8)
    images[np.arange(600), labels * 2, labels * 2] = 255
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=labels)
    manifest = example("mnist-mlp.yaml").to_manifest()
    manifest["spec"]["data"]["source"] = {"npz": {"path": str(tmp_path / "mnist.npz")}}
    manifest["spec"]["training"]["epochs"] = 2
    attempt = LocalRun(new_store(tmp_path / "store"), TrainingJob.from_manifest(manifest)).attempt()
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure


def test_an_existing_script_trains_with_two_workers(tmp_path: Path) -> None:
    attempt = LocalRun(new_store(tmp_path), job(task__entrypoint="models_for_tests:script", data=None)).attempt()
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    assert attempt.of(events.EpochEnd)


def test_the_manifest_compiles_a_model(tmp_path: Path) -> None:
    manifest = job(
        task__entrypoint="models_for_tests:uncompiled",
        strategy="Default",
        workers__replicas=1,
        training__optimizer={"name": "SGD", "args": {"learning_rate": 0.1, "momentum": 0.9}},
        training__loss={"name": "SparseCategoricalCrossentropy", "args": {"from_logits": True}},
        training__metrics=["accuracy"],
        training__steps=60,
    )
    attempt = LocalRun(new_store(tmp_path), manifest).attempt()
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    assert attempt.result.metrics["accuracy"] > 0.7


def test_a_model_that_nobody_compiles_is_refused(tmp_path: Path) -> None:
    manifest = job(task__entrypoint="models_for_tests:uncompiled", strategy="Default", workers__replicas=1)
    failure = LocalRun(new_store(tmp_path), manifest).attempt().result.failure
    assert failure is not None
    assert "not compiled" in failure.message
