"""A store that fails at the worst moment, a run that is handed over, a damaged checkpoint: each has its end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import Attempt, LocalRun, assert_same_state, events, job, new_store

from sojourn.errors import StoreError
from sojourn.transfer import Destination, move_run
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

ALONE = {"strategy": "Default", "workers__replicas": 1}


def test_a_store_that_fails_at_the_last_step_costs_the_attempt(tmp_path: Path) -> None:
    manifest = job(task__entrypoint="models_for_tests:impatient", checkpoint__every={"steps": 1000}, **ALONE)
    run = LocalRun(new_store(tmp_path), manifest)
    in_the_way = tmp_path / run.log.prefix / "data"
    in_the_way.write_text("not a folder")
    control = run.coordinator()
    lost = run.attempt({}, control)
    assert lost.exit_codes == [1]
    assert lost.result.outcome is None
    assert not run.log.state.commits
    in_the_way.unlink()
    again = run.attempt({}, control)
    assert again.result.outcome is Outcome.COMPLETED
    (failed,) = again.of(events.AttemptFailed)
    assert "the checkpoint at step 24 could not be committed" in failed.error


def test_a_store_that_fails_when_an_attempt_begins_ends_the_job(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(**ALONE))
    control, queue = run.coordinator()
    log = tmp_path / run.log.prefix / "log"
    log.rename(log.with_name("away"))
    log.write_text("not a folder")
    with pytest.raises(StoreError):
        run.attempt({}, (control, queue))
    failure = control.result().failure
    assert failure is not None
    assert failure.permanent


def test_a_job_whose_run_is_moved_away_ends_at_its_next_commit(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path / "here"), job(training__steps=200, **ALONE))
    ended: list[Attempt] = []
    old = threading.Thread(target=lambda: ended.append(run.attempt({"SOJOURN_TEST_PACE": "0.1"})))
    old.start()
    log = run.log
    while not log.refresh().commits:
        old.join(0.05)
    moved = move_run(LocalRun(run.store, run.job).log, Destination(new_store(tmp_path / "there")))
    old.join(60)
    failure = ended[0].result.failure
    assert failure is not None
    assert failure.exit_code == 4
    assert "handed over to" in failure.message
    assert log.refresh().latest.manifest == moved.child.state.latest.manifest  # type: ignore[union-attr]


def test_fast_mode_goes_on_from_the_last_commit(tmp_path: Path) -> None:
    fast = {"globalBatchSize": 128, "steps": 24, "seed": 7, "mode": "Fast"}
    linear: dict[str, Any] = {"task__entrypoint": "models_for_tests:linear", "training": fast, **ALONE}
    straight = LocalRun(new_store(tmp_path / "straight"), job(**linear))
    straight.attempt()
    broken = LocalRun(new_store(tmp_path / "broken"), job(**linear))
    broken.attempt({"SOJOURN_TEST_CRASH_AT": "9", "SOJOURN_TEST_PACE": "0.05"})
    again = broken.attempt()
    assert again.result.outcome is Outcome.COMPLETED
    assert again.of(events.Started)[0].restored_step >= 5
    of_broken = broken.state()
    for name, value in straight.state().items():
        np.testing.assert_allclose(of_broken[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_damaged_checkpoint_is_named_and_never_trained_on(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(checkpoint__every={"steps": 12}, checkpoint__keepLast=2, **ALONE))
    run.attempt()
    before = run.state()
    older, newest = run.log.state.commits[-2:]
    (data,) = (tmp_path / run.log.prefix / newest.checkpoint).glob("ckpt.data*")
    damaged = bytearray(data.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    data.write_bytes(damaged)
    attempt = run.attempt()
    failure = attempt.result.failure
    assert failure is not None
    assert (failure.exit_code, failure.permanent) == (5, True)
    assert newest.checkpoint in failure.message
    assert "--new --restore-from digits@STEP" in failure.hint
    assert not attempt.of(events.Started)
    anew = LocalRun(run.store, run.job, new=True, restore_from=f"digits@{older.step}")
    assert anew.attempt().result.outcome is Outcome.COMPLETED
    assert_same_state(before, anew.state())
