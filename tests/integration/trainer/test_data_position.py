"""Each epoch delivers every row exactly once, whatever interrupts it and however many workers go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness import LocalRun, events, job, new_store

from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

ROWS = 100
BATCH = 16  # seven batches an epoch, the last with 4 rows and 12 of padding


def counting(workers: int, epochs: int = 4) -> dict[str, object]:
    return {
        "task__entrypoint": "models_for_tests:counting",
        "data": None,
        "workers__replicas": workers,
        "training": {"globalBatchSize": BATCH, "epochs": epochs, "seed": 7},
        "checkpoint__every": {"steps": 3},
    }


@pytest.mark.parametrize("groups", [(1, 1), (2, 1, 4)], ids=["one worker", "2, then 1, then 4 workers"])
def test_every_row_once_per_epoch(groups: tuple[int, ...], tmp_path: Path) -> None:
    store = new_store(tmp_path)
    for workers in groups[:-1]:
        LocalRun(store, job(**counting(workers))).attempt({"SOJOURN_TEST_CRASH_AT": "8", "SOJOURN_TEST_PACE": "0.05"})
    last = LocalRun(store, job(**counting(groups[-1])))
    attempt = last.attempt()
    assert attempt.result.outcome is Outcome.COMPLETED
    assert attempt.of(events.Started)[0].restored_step > 0
    seen = next(value for name, value in last.state().items() if name.endswith("/seen"))
    np.testing.assert_array_equal(seen, np.full(ROWS, 4.0))


def test_more_workers_compute_the_same_up_to_rounding(tmp_path: Path) -> None:
    """Without dropout and BatchNormalization the replicas' gradients add up to those of one worker."""
    states = {}
    for workers in (1, 2, 4):
        run = LocalRun(
            new_store(tmp_path / str(workers)),
            job(task__entrypoint="models_for_tests:linear", workers__replicas=workers),
        )
        assert run.attempt().result.outcome is Outcome.COMPLETED
        states[workers] = run.state()
    for workers in (2, 4):
        for name, value in states[1].items():
            if name.startswith(("model/", "optimizer/")):
                np.testing.assert_allclose(states[workers][name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_all_workers_hold_the_same_weights(tmp_path: Path) -> None:
    """Every worker's own copy at the end, compared exactly: each saves the optimizer's and the model's state."""
    run = LocalRun(new_store(tmp_path), job(task__entrypoint="models_for_tests:reporting"))
    assert run.attempt({"SOJOURN_TEST_FOLDER": str(tmp_path)}).result.outcome is Outcome.COMPLETED
    first, second = (np.load(tmp_path / f"weights-{rank}.npz") for rank in range(2))
    assert first.files == second.files
    for name in first.files:
        assert first[name].tobytes() == second[name].tobytes(), name
