"""What optimizer and callbacks make of the weights at the end is committed, so that it is what exports and serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness import LocalRun, events, job, new_store

from sojourn.checkpoint.reader import CheckpointReader
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

KEEP = {"checkpoint__keepLast": 20}


def test_averaged_weights_are_the_last_commit(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(task__entrypoint="models_for_tests:averaging", **KEEP))
    attempt = run.attempt()
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    trained, last = run.log.state.commits[-2:]
    assert (trained.step, last.step) == (24, 24)
    averages = [value for name, value in run.state().items() if name.startswith("optimizer/") and "average" in name]
    weights = [value for name, value in run.state().items() if name.startswith("model/")]
    assert [value.tobytes() for value in weights] == [value.tobytes() for value in averages]
    assert len(run.attempt().of(events.Committed)) == 0  # nothing is left to change


def test_the_best_weights_are_the_last_commit(tmp_path: Path) -> None:
    manifest = job(
        task__entrypoint="models_for_tests:restoring",
        strategy="Default",
        workers__replicas=1,
        training__steps=90,
        checkpoint__every={"steps": 15},
        **KEEP,
    )
    run = LocalRun(new_store(tmp_path), manifest)
    assert run.attempt().result.outcome is Outcome.COMPLETED
    first = run.log.state.commit_at(15)
    assert first is not None
    assert run.log.state.latest.step == 30  # type: ignore[union-attr]
    of_first = CheckpointReader(run.store, run.log.prefix, first).read()
    for name, value in run.state().items():
        if name.startswith("model/"):
            np.testing.assert_array_equal(value, of_first[name])
