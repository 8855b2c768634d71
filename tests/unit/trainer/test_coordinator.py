"""The coordinator on its own: who answers a request, which losses count, and when nobody trains."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from helpers.checkpoints import sample_tensors
from helpers.runs import Clock
from sojourn import events
from sojourn.api import TrainingJob
from sojourn.checkpoint.commit import checkpoint_key, shard_key
from sojourn.checkpoint.manifest import CheckpointMeta, Position
from sojourn.checkpoint.shard import ShardWriter
from sojourn.errors import Refused, StoreError
from sojourn.runlog.errors import Fenced
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Created, Recipient
from sojourn.runlog.runs import create_run
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn_trainer.checkpointing.interval import SaveCost
from sojourn_trainer.driver.coordinator import Coordinator
from sojourn_trainer.driver.timing import Clocks
from sojourn_trainer.workers.assignment import Outcome, Request, SaveId, ShardSaved, WorkerFailure

JOB = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "digits"},
    "spec": {
        "task": {"entrypoint": "tasks:build"},
        "training": {"globalBatchSize": 8, "steps": 100},
        "backoffLimit": 2,
    },
}


class Seen:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []

    def observe(self, event: events.Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        return

    def of(self, kind: type[events.Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Setting:
    """A coordinator, its clock and its run."""

    def __init__(self, failures: int = 0, store: Store | None = None, on_nan: str = "Stop", **checkpoint: Any) -> None:
        clock = Clock()
        self.in_a_pause: Callable[[], object] = lambda: None
        self.now = 1000.0
        self.seen = Seen()
        self.log: RunLog = create_run(
            store or MemoryStore("coordinator"), Created(run_id=clock.env().new_id(), name="digits"), clock.env()
        )
        clocks = Clocks(wall=lambda: self.now, monotonic=lambda: self.now, sleep=self._pause)
        spec: dict[str, Any] = {**JOB["spec"], "checkpoint": checkpoint}  # type: ignore[dict-item]
        spec["training"] = {**spec["training"], "onNaN": on_nan}
        job = TrainingJob.model_validate({**JOB, "spec": spec})
        self.coordinator = Coordinator(job, self.log, [self.seen], clocks, failures)

    def _pause(self, seconds: float) -> None:
        self.in_a_pause()

    def save(self, step: int, boundary: float, term: int | None = None) -> SaveId:
        """A checkpoint of one worker, whose state is that of the moment `boundary`; `term` is that of its attempt."""
        term = self.log.state.term if term is None else term
        save = SaveId(step, term, checkpoint_key(step, term, f"u{step}"))
        with ShardWriter(self.log.store, shard_key(self.log.prefix, save.key, 0, 1)) as shard:
            for name, array in sample_tensors(step).items():
                data = np.ascontiguousarray(array)
                shard.add(name, str(data.dtype), data.shape, data.tobytes())
        meta = CheckpointMeta(step=step, position=Position(0, step), extra={"metrics": {"loss": 1.0}})
        shard_saved = ShardSaved(0, shard.report.to_json(), self.now - boundary, 0.0)
        self.coordinator.shard_saved(save, shard_saved, meta)
        return save


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_request_is_answered_by_a_state_that_is_newer(setting: Setting) -> None:
    setting.coordinator.begin_attempt("a", 1, {})
    setting.now = 1010.0
    setting.coordinator.ask(Request.CHECKPOINT, "checkpoint nightly")
    assert setting.coordinator.request() is Request.CHECKPOINT
    assert setting.coordinator.request() is Request.NONE
    setting.now = 1012.0
    setting.save(5, boundary=1009.0)
    setting.save(6, boundary=1011.0)
    first, second = setting.seen.of(events.Committed)
    assert (first.requests, second.requests) == ((), ("checkpoint nightly",))
    assert second.log_head == setting.log.refresh().head.digest
    assert second.manifest.startswith("blake3:")


def test_an_open_request_is_made_again_to_the_next_group(setting: Setting) -> None:
    setting.coordinator.begin_attempt("a", 1, {})
    setting.coordinator.ask(Request.CHECKPOINT, "checkpoint nightly")
    assert setting.coordinator.request() is Request.CHECKPOINT
    setting.coordinator.begin_attempt("b", 1, {})
    assert setting.coordinator.request() is Request.CHECKPOINT


def test_a_machine_that_was_announced_to_go_is_no_failure(setting: Setting) -> None:
    setting.coordinator.begin_attempt("a", 1, {})
    setting.coordinator.expect_loss("digits-1-1")
    setting.coordinator.begin_attempt("b", 1, {})
    setting.coordinator.begin_attempt("c", 1, {})
    excused, counted = setting.seen.of(events.AttemptFailed)
    assert (excused.failures, counted.failures) == (0, 1)
    assert "digits-1-1" in excused.error


def test_failures_of_earlier_drivers_count(setting: Setting) -> None:
    other = Setting(failures=2)
    other.coordinator.begin_attempt("a", 1, {})
    with pytest.raises(Refused, match="3 failures"):
        other.coordinator.begin_attempt("b", 1, {})
    failure = other.coordinator.result().failure
    assert failure is not None
    assert failure.reason == "BackoffLimitExceeded"


def test_whether_somebody_trains(setting: Setting) -> None:
    coordinator = setting.coordinator
    coordinator.begin_attempt("a", 1, {})
    assert not coordinator.is_training()
    coordinator.request()
    assert coordinator.is_training()
    setting.now += 60
    assert not coordinator.is_training()
    coordinator.request()
    coordinator.failed(WorkerFailure(0, "lost", "", False, 1))
    assert not coordinator.is_training()
    coordinator.request()
    coordinator.stopped(5, Outcome.STOPPED, {})
    assert not coordinator.is_training()


def test_a_fenced_run_is_named_as_the_reason(setting: Setting) -> None:
    setting.log.fence(expected_term=0, expected_commit="", recipient=Recipient(run_id="r"), migration_id="m")
    with pytest.raises(Fenced):
        setting.coordinator.begin_attempt("a", 1, {})
    failure = setting.coordinator.result().failure
    assert failure is not None
    assert (failure.reason, failure.exit_code) == ("Fenced", 4)


def test_a_run_is_complete_when_no_worker_has_anything_left_to_do(setting: Setting) -> None:
    coordinator = setting.coordinator
    coordinator.begin_attempt("a", 2, {})
    coordinator.stopped(100, Outcome.COMPLETED, {})
    coordinator.ended(0)
    assert not coordinator.is_complete()  # the other worker's script may go on after its training, and fail
    coordinator.begin_attempt("b", 2, {})
    coordinator.ended(1)
    assert not coordinator.is_complete()
    coordinator.ended(0)
    assert coordinator.is_complete()


def test_a_stopped_run_is_not_complete(setting: Setting) -> None:
    setting.coordinator.begin_attempt("a", 1, {})
    setting.coordinator.stopped(7, Outcome.STOPPED, {})
    setting.coordinator.ended(0)
    assert not setting.coordinator.is_complete()


def test_what_the_rules_keep_stays_and_what_somebody_reads() -> None:
    setting = Setting(keepLast=1, keepEveryHours=2)
    setting.coordinator.begin_attempt("a", 1, {})
    setting.coordinator.started(10, 100, None)
    for step in range(1, 7):
        setting.now = 1000.0 + step * 3600.0
        setting.save(step, boundary=setting.now)
        if step == 1:
            setting.log.refresh()
            setting.log.pin([commit.checkpoint for commit in setting.log.state.commits], holder="migration", until=None)
    setting.coordinator.close()
    state = setting.log.refresh()
    assert [commit.step for commit in state.commits] == [1, 2, 4, 6]
    assert state.attempt is not None
    assert state.attempt.info["keep"] == {"keep_last": 1, "keep_best": None, "keep_every": 7200.0}


def test_losses_say_how_often_to_save() -> None:
    setting = Setting(every={"auto": {}})
    setting.coordinator.begin_attempt("a", 1, {})
    setting.coordinator.started(10, 100, None)
    assert setting.coordinator.save_interval(None) == 10.0
    assert setting.coordinator.save_interval(SaveCost(0.1, 0.0, 1.0)) == 10.0
    setting.now += 20_000.0
    setting.coordinator.begin_attempt("b", 1, {})
    assert setting.coordinator.save_interval(None) == pytest.approx(63.28, rel=1e-3)
    told = setting.seen.of(events.SaveInterval)
    assert [event.reason for event in told] == ["FirstSave", "Shortest", "FailureRate"]
    assert told[-1].failure_seconds == 20_000.0


class Interrupted(MemoryStore):
    """Does something whenever a checkpoint's manifest is about to be written."""

    def __init__(self) -> None:
        super().__init__("coordinator")
        self.before_manifest: Callable[[], object] = lambda: None

    def put(self, key: str, data: bytes) -> None:
        if key.endswith("manifest.json"):
            self.before_manifest()
        super().put(key, data)


def assert_untouched(setting: Setting) -> None:
    """The attempt that has begun since can train and commit, and nothing of the older one counts."""
    assert setting.coordinator.result().failure is None
    assert setting.coordinator.request() is Request.NONE
    assert not setting.seen.of(events.Committed)
    setting.save(9, boundary=setting.now)
    assert [(commit.step, commit.term) for commit in setting.log.refresh().commits] == [(9, 2)]


def test_a_commit_that_is_tried_again_ends_with_its_attempt() -> None:
    store = Interrupted()
    setting = Setting(store=store)
    setting.coordinator.begin_attempt("a", 1, {})

    def fail() -> None:
        store.before_manifest = lambda: None
        raise StoreError("away")

    store.before_manifest = fail
    setting.in_a_pause = lambda: setting.coordinator.begin_attempt("b", 1, {})
    setting.save(5, boundary=setting.now)
    assert_untouched(setting)


def test_a_commit_under_way_is_that_of_its_own_attempt() -> None:
    """Another one begins between the manifest and the entry of the log: the older term is refused there, no more."""
    store = Interrupted()
    setting = Setting(store=store)
    setting.coordinator.begin_attempt("a", 1, {})

    def begin() -> None:
        store.before_manifest = lambda: None
        setting.coordinator.begin_attempt("b", 1, {})

    store.before_manifest = begin
    setting.save(5, boundary=setting.now)
    assert_untouched(setting)


def test_the_last_words_of_a_lost_worker_are_nothing_to_the_next_attempt(setting: Setting) -> None:
    setting.coordinator.begin_attempt("a", 1, {})
    setting.coordinator.begin_attempt("b", 1, {})
    late = setting.save(5, boundary=setting.now, term=1)
    assert setting.coordinator.wait_for_commit(late) == "the attempt ended"
    setting.coordinator.save_failed(late, 0, "no room")
    assert not setting.seen.of(events.SaveFailed)
    assert setting.coordinator.not_finite(6, Position(0, 6)) is None  # which waits for saves under way
    assert not setting.log.refresh().commits


def test_what_was_saved_is_not_held_in_memory(setting: Setting) -> None:
    setting.coordinator.begin_attempt("a", 1, {})
    newest = [setting.save(step, boundary=setting.now) for step in range(40)][-1]
    gc.collect()
    assert sum(isinstance(thing, ShardSaved) for thing in gc.get_objects()) < 3
    assert len(setting.coordinator._saves) < 20
    assert setting.coordinator.wait_for_commit(newest) is None


def test_roll_backs_up_to_the_limit() -> None:
    setting = Setting(on_nan="RollBack")
    setting.coordinator.begin_attempt("a", 1, {})
    setting.save(5, boundary=setting.now)
    latest = setting.log.refresh().latest
    answers = [setting.coordinator.not_finite(6, Position(0, batch)) for batch in range(6, 9)]
    assert answers == [latest, latest, None]
    failure = setting.coordinator.result().failure
    assert failure is not None
    assert failure.message == (
        "the loss is not finite after step 6, the failure number 3 without a new checkpoint between; "
        "the last good checkpoint is step 5"
    )
