"""A run that takes part of another run's checkpoint, and begins at step 0 with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import LocalRun, events, job, new_store

from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

ONE = {"strategy": "Default", "workers__replicas": 1, "task__entrypoint": "models_for_tests:headed"}


def tuned(variables: dict[str, Any], **more: Any) -> Any:
    args = {"classes": 12, "learning_rate": 0.0}
    origin = {"checkpoint": "base", "variables": variables, **more}
    return job("tuned", **ONE, task__args=args, training__steps=6, restoreFrom=origin)


@pytest.mark.parametrize("shared", [True, False], ids=["the same store", "another store"])
def test_a_new_head_on_a_trained_trunk(shared: bool, tmp_path: Path) -> None:
    store = new_store(tmp_path / "a")
    base = LocalRun(store, job("base", **ONE, training__steps=10))
    assert base.attempt().result.outcome is Outcome.COMPLETED
    place, extra = (store, {}) if shared else (new_store(tmp_path / "b"), {"store": {"uri": store.uri}})
    request = {} if shared else {"restore_store": store}
    run = LocalRun(place, tuned({"exclude": ["model/*head/*"]}, **extra), **request)
    lost = run.attempt({"SOJOURN_TEST_CRASH_AT": "2"})
    assert lost.result.outcome is None
    attempt = run.attempt()
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result
    assert attempt.of(events.Started)[0].restored_step is None
    (said,) = [event.text for event in attempt.of(events.Message)]
    assert said.startswith("from step 10 of base: takes 2 of ")
    assert "model/headed/head/kernel" in said or "model/head/kernel" in said
    assert [commit.step for commit in attempt.of(events.Committed)] == [5, 6]
    trained, state = base.state(), run.state()
    (trunk,) = [name for name in state if name.startswith("model/") and name.endswith("trunk/kernel")]
    (head,) = [name for name in state if name.startswith("model/") and name.endswith("head/kernel")]
    np.testing.assert_array_equal(state[trunk], trained[trunk])  # the learning rate is 0
    assert (state[head].shape, trained[head].shape) == ((16, 12), (16, 10))
    folders = run.store.list_folders(f"{run.log.prefix}/data")
    assert sorted(f"data/{name}" for name in folders) == sorted(c.checkpoint for c in run.log.state.commits)


def test_what_does_not_fit_is_told_before_training(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    LocalRun(store, job("base", **ONE, training__steps=3)).attempt()
    attempt = LocalRun(store, tuned({})).attempt()
    assert attempt.result.outcome is None
    failure = attempt.result.failure
    assert failure is not None
    assert failure.permanent
    assert failure.exit_code == 2
    assert "head/kernel (saved float32 [16, 10], here float32 [16, 12])" in failure.message
    assert "head/bias" in failure.message
    assert not attempt.of(events.Progress)
