"""A run that was interrupted ends in the same bits as one that was not."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from harness import Kill, LocalRun, assert_same_state, events, job, new_store

from sojourn_trainer.workers.assignment import Outcome, Request

pytestmark = pytest.mark.tensorflow

CASES: dict[str, dict[str, Any]] = {
    "default, built-in step": {"strategy": "Default", "workers__replicas": 1},
    "default, custom step": {"strategy": "Default", "workers__replicas": 1, "task__args": {"custom_step": True}},
    "mirrored over 2 devices": {"strategy": "MirroredStrategy", "workers": {"devices": 2}},
    "1 worker": {"workers__replicas": 1},
    "1 worker, custom step": {"workers__replicas": 1, "task__args": {"custom_step": True}},
    "2 workers, built-in step": {},
    "2 workers, custom step": {"task__args": {"custom_step": True}},
    "2 workers, callback state": {"task__args": {"plateau": True}, "data__split": {"validation": 0.1}},
}


FOUR = {
    "4 workers, built-in step": {"workers__replicas": 4},
    "4 workers, custom step": {"workers__replicas": 4, "task__args": {"custom_step": True}},
}
LONG = [pytest.param(case, marks=pytest.mark.long) for case in FOUR]


@pytest.mark.parametrize("case", [*CASES, *LONG])
def test_kills_at_any_moment_leave_no_trace(case: str, tmp_path: Path) -> None:
    """In mid-step, while a checkpoint is copied, written or committed: at other moments each time this is run."""
    manifest = job(training__steps=30, **(CASES | FOUR)[case])
    straight = LocalRun(new_store(tmp_path / "straight"), manifest)
    assert straight.attempt().result.outcome is Outcome.COMPLETED

    broken = LocalRun(new_store(tmp_path / "broken"), manifest)
    seed = os.environ.get("SOJOURN_TEST_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"again with SOJOURN_TEST_SEED={seed}")
    chance = random.Random(seed)
    for most_commits in (2, 1):
        rank = chance.randrange(manifest.spec.workers.replicas)
        kill = Kill(chance.randint(1, most_commits), chance.uniform(0.0, 0.25), rank)
        lost = broken.attempt({"SOJOURN_TEST_PACE": "0.05"}, kill=kill)
        assert lost.result.outcome is None
        assert lost.exit_codes[rank] == -signal.SIGKILL
    last = broken.attempt()
    assert last.result.outcome is Outcome.COMPLETED
    assert last.of(events.Started)[0].restored_step >= 10
    assert_same_state(straight.state(), broken.state())


def test_a_stop_commits_the_boundary_and_resumes_from_it(tmp_path: Path) -> None:
    manifest = job(checkpoint__every={"steps": 1000})
    straight = LocalRun(new_store(tmp_path / "straight"), manifest)
    straight.attempt()

    stopped = LocalRun(new_store(tmp_path / "stopped"), manifest)
    coordinator, queue = stopped.coordinator()
    coordinator.ask(Request.STOP, "a test")
    first = stopped.attempt({"SOJOURN_TEST_PACE": "0.1"}, (coordinator, queue))
    assert first.result.outcome is Outcome.STOPPED
    assert 0 < first.result.step < 24
    assert [commit.step for commit in first.of(events.Committed)] == [first.result.step]
    second = stopped.attempt()
    assert second.of(events.Started)[0].restored_step == first.result.step
    assert_same_state(straight.state(), stopped.state())


def test_epoch_metrics_continue_over_an_interruption(tmp_path: Path) -> None:
    manifest = job(checkpoint__every={"steps": 1})
    straight = LocalRun(new_store(tmp_path / "straight"), manifest).attempt()
    broken = LocalRun(new_store(tmp_path / "broken"), manifest)
    broken.attempt({"SOJOURN_TEST_CRASH_AT": "8", "SOJOURN_TEST_PACE": "0.05"})
    again = broken.attempt()
    assert [e.metrics for e in again.of(events.EpochEnd)] == [e.metrics for e in straight.of(events.EpochEnd)]


def test_a_checkpoint_on_request(tmp_path: Path) -> None:
    run = LocalRun(new_store(tmp_path), job(checkpoint__every={"steps": 1000}))
    coordinator, queue = run.coordinator()
    coordinator.ask(Request.CHECKPOINT)
    attempt = run.attempt({"SOJOURN_TEST_PACE": "0.05"}, (coordinator, queue))
    steps = [commit.step for commit in attempt.of(events.Committed)]
    assert len(steps) == 2
    assert steps[1] == 24


def test_a_pipeline_of_the_users_own_resumes_with_the_same_workers(tmp_path: Path) -> None:
    manifest = job(task__entrypoint="models_for_tests:pipeline", data=None)
    straight = LocalRun(new_store(tmp_path / "straight"), manifest)
    straight.attempt()
    broken = LocalRun(new_store(tmp_path / "broken"), manifest)
    broken.attempt({"SOJOURN_TEST_CRASH_AT": "13", "SOJOURN_TEST_PACE": "0.05"})
    again = broken.attempt()
    assert again.of(events.Started)[0].restored_step > 0
    model = {name: value for name, value in straight.state().items() if not name.startswith("input/")}
    assert_same_state(model, {name: value for name, value in broken.state().items() if not name.startswith("input/")})


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_pipeline_of_the_users_own_refuses_other_workers(before: int, after: int, tmp_path: Path) -> None:
    pipeline = {"task__entrypoint": "models_for_tests:pipeline", "data": None}
    run = LocalRun(new_store(tmp_path), job(**pipeline, workers__replicas=before))
    run.attempt({"SOJOURN_TEST_CRASH_AT": "13", "SOJOURN_TEST_PACE": "0.05"})
    failure = LocalRun(run.store, job(**pipeline, workers__replicas=after)).attempt().result.failure
    assert failure is not None
    assert failure.permanent
    assert f"set it to {before}" in failure.hint
