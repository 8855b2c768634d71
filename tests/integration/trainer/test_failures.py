"""What goes wrong has a defined end, a message that says what to do, and no half-written checkpoint."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from harness import LocalRun, events, job, new_store

from sojourn.api import TrainingJob
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import Refused
from sojourn.store.keys import TEMP_PREFIX
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

SLOWLY = {"SOJOURN_TEST_PACE": "0.05"}


def test_one_worker_of_two_is_lost(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job())
    lost = run.attempt({"SOJOURN_TEST_CRASH_AT": "8", "SOJOURN_TEST_CRASH_RANK": "1", **SLOWLY})
    assert lost.exit_codes[1] == 9
    half = tmp_path / run.log.prefix / "data" / "7-1-killed" / f"{TEMP_PREFIX}shard"
    half.parent.mkdir()
    half.write_bytes(b"as far as its writer came")
    again = run.attempt()
    assert again.result.outcome is Outcome.COMPLETED
    assert again.of(events.Started)[0].restored_step == 5
    assert not verify_run(run.log).problems
    assert not half.parent.exists()


def test_failures_without_a_commit_end_the_job(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(backoffLimit=1, strategy="Default", workers__replicas=1))
    coordinator, queue = run.coordinator()
    crash = {"SOJOURN_TEST_CRASH_AT": "2"}
    for _ in range(2):
        run.attempt(crash, (coordinator, queue))
    with pytest.raises(Refused, match="2 failures without a new checkpoint"):
        run.attempt(crash, (coordinator, queue))


def test_a_commit_forgives_failures(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(backoffLimit=1, strategy="Default", workers__replicas=1))
    control = run.coordinator()
    for _ in range(3):
        run.attempt({"SOJOURN_TEST_CRASH_AT": "7", **SLOWLY}, control)
    assert run.attempt({}, control).result.outcome is Outcome.COMPLETED


def test_a_second_driver_shuts_out_the_first(tmp_path: Path) -> None:
    """The older attempt learns it at its next commit, and ends without harming the newer one."""
    run = LocalRun(new_store(tmp_path), job(strategy="Default", workers__replicas=1, training__steps=40))
    outcome: list[object] = []
    old = threading.Thread(target=lambda: outcome.append(run.attempt({"SOJOURN_TEST_PACE": "0.2"})))
    control, queue = run.coordinator()
    old.start()
    while not run.log.refresh().commits:
        old.join(0.05)
    new = run.attempt({}, (control, queue))
    assert new.result.outcome is Outcome.COMPLETED
    old.join(60)
    failure = outcome[0].result.failure  # type: ignore[attr-defined]
    assert failure.exit_code == 4
    assert "holds term 2" in failure.message
    assert {commit.term for commit in run.log.refresh().commits[-2:]} == {2}


def test_nan_stops_the_job_at_its_last_good_checkpoint(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), exploding("Stop"))
    attempt = run.attempt(SLOWLY)
    assert attempt.result.outcome is Outcome.ABORTED
    assert attempt.result.failure is not None
    assert attempt.result.failure.permanent
    newest = run.log.refresh().latest
    assert newest is not None
    assert f"not finite after step 6; the last good checkpoint is step {newest.step}" in attempt.result.failure.message
    assert all(np.isfinite(value).all() for name, value in run.state().items() if name.startswith("model/"))


def test_nan_rolls_back_and_leaves_out_the_batches(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), exploding("RollBack"))
    attempt = run.attempt(SLOWLY)
    assert attempt.result.outcome is Outcome.COMPLETED
    (rolled,) = attempt.of(events.RolledBack)
    assert (rolled.from_step, rolled.to_step) == (6, max(c.step for c in attempt.of(events.Committed) if c.step < 6))
    assert all(np.isfinite(value).all() for value in run.state().values() if value.dtype.kind == "f")


def test_an_epoch_whose_last_batch_is_rolled_back_ends_with_the_others(tmp_path: Path) -> None:
    manifest = exploding("RollBack", training__steps=12, task__args={"at_row": 1279})
    attempt = LocalRun(new_store(tmp_path), manifest).attempt(SLOWLY)
    assert attempt.result.outcome is Outcome.COMPLETED
    assert attempt.of(events.RolledBack)[0].from_step == 10
    ended = [event.epoch for event in attempt.of(events.EpochEnd)]
    assert ended[0] == 0
    assert np.isfinite(attempt.of(events.EpochEnd)[0].metrics["loss"])


def test_a_pipeline_of_the_users_own_leaves_out_the_batches_too(tmp_path: Path) -> None:
    manifest = exploding("RollBack", task__entrypoint="models_for_tests:exploding_pipeline")
    attempt = LocalRun(new_store(tmp_path), manifest).attempt(SLOWLY)
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    assert [rolled.from_step for rolled in attempt.of(events.RolledBack)] == [6]


def test_nan_can_be_ignored(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), exploding("Ignore"))
    assert run.attempt(SLOWLY).result.outcome is Outcome.COMPLETED
    assert any(np.isnan(value).any() for name, value in run.state().items() if name.startswith("model/"))


def exploding(policy: str, **changes: object) -> TrainingJob:
    settings = {
        "task__entrypoint": "models_for_tests:exploding",
        "data": None,
        "strategy": "Default",
        "workers__replicas": 1,
        "training": {"globalBatchSize": 128, "steps": 9, "seed": 7, "onNaN": policy},
        "checkpoint__every": {"steps": 1},
        "checkpoint__keepLast": 2,
    }
    return job(**settings | changes)


def test_a_bug_of_the_task_is_not_tried_again(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(task__entrypoint="models_for_tests:broken"))
    failure = run.attempt().result.failure
    assert failure is not None
    assert failure.permanent
    assert failure.exit_code == 2
    assert "ZeroDivisionError: a bug of the task's own" in failure.message


def test_an_error_in_training_is_tried_again_from_the_newest_commit(tmp_path: Path) -> None:
    manifest = job(task__entrypoint="failing_tasks:in_a_callback", strategy="Default", workers__replicas=1)
    run = LocalRun(new_store(tmp_path), manifest)
    control = run.coordinator()
    lost = run.attempt({"SOJOURN_TEST_RAISE_AT": "8", **SLOWLY}, control)
    assert lost.exit_codes == [1]
    assert lost.result.failure is None
    again = run.attempt({}, control)
    (failed,) = again.of(events.AttemptFailed)
    assert failed.error == "RuntimeError: a bug in a callback"
    assert again.of(events.Started)[0].restored_step == 5
    assert again.result.outcome is Outcome.COMPLETED


def test_a_callback_ends_the_training(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(task__entrypoint="models_for_tests:early_stop", training__steps=100))
    attempt = run.attempt()
    assert attempt.result.outcome is Outcome.COMPLETED
    assert attempt.result.step == 30  # two epochs of 15 batches
    again = run.attempt()
    assert again.result.step == 30
    assert len(again.of(events.EpochEnd)) == 0


def test_tpu_strategy_says_that_there_is_no_tpu(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(strategy="TPUStrategy", workers__replicas=1))
    failure = run.attempt().result.failure
    assert failure is not None
    assert failure.exit_code == 2
    assert "this machine has no TPU" in failure.message


def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    small = {"strategy": "Default", "workers__replicas": 1}
    run = LocalRun(new_store(tmp_path), job(**small))
    run.attempt()
    other = LocalRun(
        run.store, job(name="other", task__entrypoint="models_for_tests:linear", **small), restore_from="digits"
    )
    failure = other.attempt().result.failure
    assert failure is not None
    assert "dense/kernel (saved float32 [144, 10], here float32 [64, 10])" in failure.message
    assert "--new" in failure.hint


def test_callback_state_that_cannot_be_saved_fails_the_job(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(task__entrypoint="models_for_tests:unsavable"))
    attempt = run.attempt()
    assert attempt.result.outcome is not Outcome.COMPLETED
    assert attempt.result.failure is not None
    assert attempt.result.failure.exit_code == 2
    assert "which JSON cannot" in attempt.result.failure.message


def test_a_misspelt_entrypoint_is_not_tried_again(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(task__entrypoint="models_for_tests:cmn"))
    failure = run.attempt().result.failure
    assert failure is not None
    assert failure.permanent
    assert "cnn" in failure.message + failure.hint
