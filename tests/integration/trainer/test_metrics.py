"""What is reported counts every row once: with padding, held-out rows, penalties, interruptions, other workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import LocalRun, events, job, new_store

from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("rows", [32, 10], ids=["training rows fill the batches", "they do not"])
def test_padding_never_counts(rows: int, workers: int, tmp_path: Path) -> None:
    manifest = job(
        task__entrypoint="models_for_tests:constant",
        data=None,
        workers__replicas=workers,
        training={"globalBatchSize": 16, "epochs": 1, "seed": 7},
    )
    attempt = LocalRun(new_store(tmp_path), manifest).attempt({"SOJOURN_TEST_ROWS": str(rows)})
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    expected = {f"{prefix}{name}": value for prefix in ("", "val_", "test_") for name, value in WORTH.items()}
    assert dict(attempt.result.metrics) == pytest.approx(expected)


WORTH = {"loss": 5.0, "mae": 2.0}


def test_an_epochs_metrics_are_whole_when_fewer_workers_finish_it(tmp_path: Path) -> None:
    linear = {"task__entrypoint": "models_for_tests:linear", "checkpoint__every": {"steps": 1}}
    straight = LocalRun(new_store(tmp_path / "straight"), job(**linear)).attempt()
    store = new_store(tmp_path / "fewer")
    LocalRun(store, job(**linear)).attempt({"SOJOURN_TEST_CRASH_AT": "9", "SOJOURN_TEST_PACE": "0.05"})
    fewer = LocalRun(store, job(**linear, workers__replicas=1)).attempt()
    assert 0 < fewer.of(events.Started)[0].restored_step < 15
    first, *_ = fewer.of(events.EpochEnd)
    assert dict(first.metrics) == pytest.approx(dict(straight.of(events.EpochEnd)[0].metrics), rel=1e-4)


def test_a_metric_that_is_not_a_number_is_no_failure(tmp_path: Path) -> None:
    manifest = job(task__entrypoint="models_for_tests:nan_metric", strategy="Default", workers__replicas=1)
    assert LocalRun(new_store(tmp_path), manifest).attempt().result.outcome is Outcome.COMPLETED
