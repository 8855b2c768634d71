"""Runs on data from files: they reach the quality of the same data in memory, and resume in the same bits."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from harness import LocalRun, assert_same_state, events, new_store
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sojourn.api import TrainingJob, load_manifests
from sojourn.task.entrypoint import call
from sojourn_trainer.data.source import ArraySource, split
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

CODE = Path(__file__).parents[3] / "docs/examples"
EXAMPLES = Path(__file__).parents[3] / "manifests/examples"


def records(folder: Path) -> None:
    """The digits in three TFRecord files, written as the guide does."""
    digits = load_digits()
    for part in range(3):
        path = str(folder / f"digits-{part}.tfrecord")
        call(
            "records:write_records",
            {"path": path, "images": digits.images[part::3], "labels": digits.target[part::3]},
            CODE,
        )


def pictures(folder: Path) -> None:
    """The digits as PNG files, in a folder for each."""
    import tensorflow as tf

    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tf.io.encode_png(image[:, :, None].astype(np.uint8) * 15).numpy())


def from_folder(name: str, source: str, path: Path, **task: Any) -> TrainingJob:
    (loaded,) = load_manifests(EXAMPLES / f"{name}.yaml")
    manifest = copy.deepcopy(loaded.obj.to_manifest())
    manifest["spec"]["data"]["source"][source]["path"] = str(path)
    manifest["spec"]["task"] |= task
    return TrainingJob.from_manifest(manifest)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


FROM_FILES = {"tfrecord-digits": ("tfrecord", records), "image-folders": ("images", pictures)}


def digits_from(name: str, folder: Path) -> TrainingJob:
    source, write = FROM_FILES[name]
    (folder / "data").mkdir()
    write(folder / "data")
    return from_folder(name, source, folder / "data", entrypoint=f"models_for_tests:{source}")


@pytest.mark.parametrize("name", ["tfrecord-digits", pytest.param("image-folders", marks=pytest.mark.long)])
def test_a_run_on_files_resumes_in_the_same_bits(name: str, tmp_path: Path, cache: dict[str, str]) -> None:
    job = digits_from(name, tmp_path)
    straight = LocalRun(new_store(tmp_path / "straight"), job)
    result = straight.attempt(cache).result
    assert result.outcome is Outcome.COMPLETED, result.failure
    assert result.metrics["test_accuracy"] >= 0.95

    broken = LocalRun(new_store(tmp_path / "broken"), job)
    lost = broken.attempt({**cache, "SOJOURN_TEST_CRASH_AT": "55", "SOJOURN_TEST_PACE": "0.02"})
    assert lost.result.outcome is None
    last = broken.attempt(cache)
    assert last.result.outcome is Outcome.COMPLETED
    assert last.of(events.Started)[0].restored_step == 40
    assert_same_state(straight.state(), broken.state())


def test_image_folders(tmp_path: Path, cache: dict[str, str]) -> None:
    result = LocalRun(new_store(tmp_path / "store"), digits_from("image-folders", tmp_path)).attempt(cache).result
    assert result.outcome is Outcome.COMPLETED, result.failure
    assert result.metrics["test_accuracy"] >= 0.95


def test_a_cleaned_table(tmp_path: Path) -> None:
    rows = load_breast_cancer()
    x = rows.data.astype(np.float32)
    dirty = x.copy()
    chance = np.random.default_rng(0)
    dirty[chance.random(x.shape) < 0.05] = np.nan
    dirty[chance.random(x.shape) < 0.002] = 1e7
    frame = pd.DataFrame(dirty, columns=[f"f{i}" for i in range(30)])
    frame.assign(label=rows.target).to_csv(tmp_path / "samples.csv", index=False)

    result = LocalRun(new_store(tmp_path / "store"), from_folder("csv-cleaned", "csv", tmp_path / "samples.csv"))
    metrics = result.attempt().result.metrics

    test, _, train = (part.arrays for part in split(ArraySource((x, rows.target)), (0.2, 0.0), 7))  # type: ignore[attr-defined]
    clean = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (2 * 0.001 * len(train[0])), max_iter=1000))
    assert metrics["test_accuracy"] >= clean.fit(*train).score(*test) - 0.02


def test_a_damaged_record_ends_the_attempt_by_name(tmp_path: Path, cache: dict[str, str]) -> None:
    job = digits_from("tfrecord-digits", tmp_path)
    path = tmp_path / "data/digits-1.tfrecord"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    manifest = job.to_manifest()
    manifest["spec"] |= {"strategy": "Default", "workers": {"replicas": 1}}
    manifest["spec"]["data"] |= {"normalize": "None", "split": {}}
    run = LocalRun(new_store(tmp_path / "store"), TrainingJob.from_manifest(manifest))
    control = run.coordinator()
    assert run.attempt(cache, control).result.outcome is None
    (failed,) = run.attempt(cache, control).of(events.AttemptFailed)
    assert re.search(r"record \d+ of .*/digits-1\.tfrecord, at byte \d+, does not match its checksum", failed.error)
