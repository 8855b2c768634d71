"""The one place that decides for a whole attempt: begins it, commits its checkpoints, answers its workers.

Workers call it through a Ray actor (driver/actor.py). It starts no TensorFlow and knows nothing of Ray.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sojourn import events
from sojourn.api import TrainingJob
from sojourn.checkpoint.commit import finish
from sojourn.checkpoint.manifest import CheckpointMeta, Position
from sojourn.checkpoint.sweep import sweep_interrupted
from sojourn.errors import Refused, SojournError, StoreError
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Commit, CommitInfo
from sojourn_trainer.checkpointing.interval import SaveCost
from sojourn_trainer.driver.backoff import Backoff
from sojourn_trainer.driver.observers import Observer
from sojourn_trainer.driver.prepare import part_to_take
from sojourn_trainer.driver.requests import CheckpointRequests
from sojourn_trainer.driver.retention import Retention, as_retention_policy
from sojourn_trainer.driver.save_interval import SaveInterval
from sojourn_trainer.driver.saves import PendingSave, Saves, WholeSave
from sojourn_trainer.driver.timing import Clocks
from sojourn_trainer.workers.assignment import (
    Outcome,
    ProgressUpdate,
    Request,
    SaveId,
    ShardSaved,
    WorkerFailure,
)

log = logging.getLogger(__name__)

_COMMIT_PAUSES = (0.5, 1.0, 2.0, 4.0)
# Rank 0 asks for requests every 0.25 s while it trains; a thread that is starved of a CPU may be late.
_SILENCE_SECONDS = 15.0


@dataclass(frozen=True)
class AttemptStart:
    """What a new attempt's workers need: its term, and the checkpoint to start from."""

    term: int
    restore: CommitInfo | None


@dataclass(frozen=True)
class Result:
    """How the work in this process ended; `failure` is None where it did not fail."""

    outcome: Outcome | None
    step: int
    metrics: Mapping[str, float]
    failure: WorkerFailure | None
    stop_reason: str


class Coordinator:
    """Thread-safe. Its methods are the driver's side; those of CoordinatorPort are the workers'."""

    def __init__(
        self,
        job: TrainingJob,
        run: RunLog,
        observers: Sequence[Observer],
        clocks: Clocks,
        failures: int = 0,
    ) -> None:
        self._job = job
        self._run = run
        self._observers = observers
        part = self._part_to_take()
        copied = part.checkpoint if part is not None and not part.run else ""
        self._retention = Retention(run, job.spec.checkpoint, self._report_retired, copied)
        self._clocks = clocks
        self._interval = SaveInterval(job.spec.checkpoint.every.auto, clocks, self._emit)
        self._lost = 0
        self._trained_here = 0.0
        self._lock = threading.Condition()
        self._backoff = Backoff(job.spec.backoff_limit, failures)
        self._attempt_id = ""
        self._term = 0
        self._workers = 0
        self._total_steps = 0
        self._saves = Saves(clocks.monotonic)
        self._rollbacks: dict[tuple[int, int, Position], CommitInfo | None] = {}
        self._request = Request.NONE
        self._requests = CheckpointRequests()
        self._leaving: set[str] = set()
        self._asked_at: float | None = None
        self._stop_reason = ""
        self._failure: WorkerFailure | None = None
        self._attempt_error = ""
        self._last_commit_at: float | None = None
        self._trained_before = 0.0
        self._training_since: float | None = None
        self._outcome: Outcome | None = None
        self._ended: set[int] = set()
        self._step = 0
        self._metrics: Mapping[str, float] = {}

    # The driver's side

    def begin_attempt(self, attempt_id: str, workers: int, info: Mapping[str, Any]) -> AttemptStart:
        """Shut out older attempts and say where to start from.

        Raises:
            Refused: no further attempt is allowed: the run is fenced, a failure was permanent, or too many failures
                came without a commit between them.
        """
        with self._lock:
            if self._attempt_id:
                self._count_failure()
            if self._failure is not None:
                raise Refused(self._failure.message, hint=self._failure.hint)
            self._begin_saves(0)
            self._ended.clear()
            self._rollbacks.clear()
            self._attempt_id, self._workers, self._attempt_error = attempt_id, workers, ""
            self._asked_at = None
            if self._requests:
                self._ask(Request.CHECKPOINT)
            try:
                keep = as_retention_policy(self._job.spec.checkpoint).to_json()
                self._term = self._run.begin_attempt(attempt_id, {**info, "keep": keep})
            except SojournError as error:
                self._failure = _failure_of(error)
                raise
            self._begin_saves(self._term)
            self._sweep_interrupted()
            latest = self._run.state.latest
            self._trained_before = latest.wall_seconds if latest is not None else 0.0
            self._trained_here += self._training_seconds()
            self._training_since = None
            return AttemptStart(self._term, latest or self._part_to_take())

    def ask(self, request: Request, reason: str = "") -> None:
        """Ask the workers for something at their next boundary; STOP and ABORT are not taken back.

        Args:
            request: what.
            reason: why to stop; or the token of a checkpoint, which the commit that answers it names.
        """
        with self._lock:
            if request is Request.CHECKPOINT:
                self._requests.add(reason, self._clocks.monotonic())
            else:
                self._stop_reason = self._stop_reason or reason
            self._ask(request)

    def expect_loss(self, host: str) -> None:
        """The machine `host` is about to be taken away: the loss of its worker will be no failure of the job."""
        with self._lock:
            self._leaving.add(host)

    def is_training(self) -> bool:
        """Whether a worker group trains, and so will act on requests."""
        with self._lock:
            return self._asked_at is not None and self._clocks.monotonic() - self._asked_at < _SILENCE_SECONDS

    def give_up(self, message: str, hint: str, reason: str) -> None:
        """Allow no further attempt; `reason` is one CamelCase word."""
        with self._lock:
            self._failure = self._failure or WorkerFailure(-1, message, hint, True, 1, reason)

    def result(self) -> Result:
        """How it ended, once no worker runs any more."""
        with self._lock:
            return Result(self._outcome, self._step, dict(self._metrics), self._failure, self._stop_reason)

    def is_complete(self) -> bool:
        """Whether the run has completed and no worker has anything left to do."""
        with self._lock:
            done = self._outcome is Outcome.COMPLETED and self._failure is None
            return done and len(self._ended) == self._workers

    def last_commit(self) -> Commit | None:
        """The newest checkpoint that exists."""
        return self._run.state.latest

    def close(self) -> None:
        """Finish what observers and retention still have to do."""
        self._retention.close()
        for observer in self._observers:
            observer.close()

    # The workers' side: CoordinatorPort

    def launched(self, phase: str, seconds: float) -> None:
        self._emit(events.Launch(time=self._clocks.wall(), phase=phase, seconds=seconds))

    def started(self, steps_per_epoch: int, total_steps: int, restored_step: int | None) -> None:
        state, spec = self._run.state, self._job.spec
        with self._lock:
            self._total_steps = total_steps
            self._training_since = self._clocks.monotonic()
        self._emit(
            events.Started(
                time=self._clocks.wall(),
                run=state.name,
                run_id=state.run_id,
                attempt=self._attempt_id,
                term=self._term,
                restored_step=restored_step,
                workers=self._workers,
                strategy=spec.strategy,
                steps_per_epoch=steps_per_epoch,
                total_steps=total_steps,
                epochs=-(-total_steps // steps_per_epoch),
                log_head=self._run.head.digest,
            )
        )

    def progress(self, update: ProgressUpdate) -> None:
        now = self._clocks.monotonic()
        with self._lock:
            self._step = max(self._step, update.step)
            since = None if self._last_commit_at is None else now - self._last_commit_at
            left = self._total_steps - update.step
        batch = self._job.spec.training.global_batch_size
        speed = update.samples_per_second
        self._emit(
            events.Progress(
                time=self._clocks.wall(),
                step=update.step,
                epoch=update.epoch,
                total_steps=self._total_steps,
                loss=update.loss if update.loss is not None else float("nan"),
                metrics=update.metrics,
                samples_per_second=speed or None,
                eta_seconds=left * batch / speed if speed else None,
                seconds_since_commit=since,
            )
        )

    def epoch_ended(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        self._emit(events.EpochEnd(time=self._clocks.wall(), epoch=epoch, step=step, metrics=metrics))

    def shard_saved(self, save: SaveId, shard: ShardSaved, meta: CheckpointMeta | None) -> None:
        with self._lock:
            pending = self._saves.find(save)
            boundary = self._clocks.monotonic() - shard.seconds - shard.stall_seconds
            pending.begun = min(pending.begun, boundary)
            whole = pending.add(shard, meta)
        if whole is not None:
            self._commit(pending, whole)

    def save_failed(self, save: SaveId, rank: int, error: str) -> None:
        with self._lock:
            pending = self._saves.find(save)
        self._resolve(pending, f"worker {rank}: {error}")

    def save_skipped(self, step: int, reason: str) -> None:
        self._emit(events.SaveSkipped(time=self._clocks.wall(), step=step, reason=reason))

    def say(self, text: str) -> None:
        self._emit(events.Message(time=self._clocks.wall(), level="info", text=text))

    def save_interval(self, cost: SaveCost | None) -> float:
        with self._lock:
            trained = self._trained_here + self._training_seconds()
            return self._interval.after(cost, trained / self._lost if self._lost and trained > 0 else None)

    def wait_for_commit(self, save: SaveId) -> str | None:
        with self._lock:
            pending = self._saves.find(save)
            self._lock.wait_for(lambda: pending.resolved)
            return pending.failure

    def request(self) -> Request:
        with self._lock:
            self._asked_at = self._clocks.monotonic()
            asked = self._request
            if asked is Request.CHECKPOINT:
                self._request = Request.NONE
            return asked

    def not_finite(self, step: int, next_batch: Position) -> CommitInfo | None:
        """All workers ask with the same arguments and get the same answer."""
        key = (self._term, step, next_batch)
        with self._lock:
            self._lock.wait_for(lambda: not self._saves.under_way)
            if key not in self._rollbacks:
                self._rollbacks[key] = self._decide_roll_back(step)
            return self._rollbacks[key]

    def stopped(self, step: int, outcome: Outcome, metrics: Mapping[str, float]) -> None:
        with self._lock:
            self._step, self._outcome, self._metrics = step, outcome, dict(metrics)
            self._asked_at = None

    def ended(self, rank: int) -> None:
        with self._lock:
            self._ended.add(rank)

    def failed(self, failure: WorkerFailure) -> None:
        with self._lock:
            self._attempt_error = self._attempt_error or failure.message
            self._asked_at = None
            if failure.permanent:
                self._failure = self._failure or failure

    # Inner workings

    def _part_to_take(self) -> CommitInfo | None:
        """The other run's checkpoint of which this run takes some variables, before it has one of its own."""
        origin, parent = self._job.spec.restore_from, self._run.state.parent
        if origin is None or origin.variables is None or parent is None or parent.commit is None:
            return None
        return part_to_take(parent, self._run.store.uri)

    def _sweep_interrupted(self) -> None:
        try:
            sweep_interrupted(self._run)
        except SojournError as error:
            log.warning("what killed writers left could not be removed, the next attempt tries again: %s", error)

    def _ask(self, request: Request) -> None:
        if self._request not in (Request.STOP, Request.ABORT) or request is Request.ABORT:
            self._request = request

    def _commit(self, pending: PendingSave, whole: WholeSave) -> None:
        if whole.nonfinite and self._job.spec.training.on_nan != "Ignore":
            self._resolve(pending, f"not finite: {', '.join(whole.nonfinite[:4])}")
            return
        pauses = list(_COMMIT_PAUSES)
        while True:
            try:
                commit = self._write(pending, whole)
                break
            except (StoreError, OSError) as error:
                if not pauses:
                    self._resolve(pending, str(error))
                    return
                self._clocks.sleep(pauses.pop(0))
                if pending.resolved:  # another attempt has begun meanwhile
                    return
            except SojournError as error:
                self._lose_run(error, pending)
                self._resolve(pending, str(error))
                return
        with self._lock:
            self._backoff = self._backoff.after_commit()
            self._last_commit_at = self._clocks.monotonic()
            requests = self._requests.answered_by(pending.begun)
        current = self._resolve(pending, None)
        self._emit(
            events.Committed(
                time=self._clocks.wall(),
                step=commit.step,
                bytes=commit.bytes,
                seconds=self._clocks.monotonic() - pending.begun,
                stall_seconds=whole.stall_seconds,
                checkpoint=commit.checkpoint,
                epoch=commit.epoch,
                manifest=commit.manifest,
                metrics=commit.metrics,
                log_head=self._run.head.digest,
                requests=requests,
            )
        )
        if current:
            self._retention.after_commit(pending.save.term)

    def _write(self, pending: PendingSave, whole: WholeSave) -> Commit:
        """Always on behalf of the save's own attempt, though another may have begun since."""
        meta = whole.meta
        manifest, digest = finish(self._run.store, self._run.prefix, pending.save.key, whole.reports(), meta)
        info = CommitInfo(
            step=meta.step,
            checkpoint=pending.save.key,
            manifest=digest,
            epoch=meta.position.epoch,
            samples=meta.samples,
            bytes=manifest.total_bytes,
            metrics=dict(meta.extra["metrics"]),
            wall_seconds=self._seconds_trained(),
        )
        return self._run.commit(term=pending.save.term, attempt_id=pending.attempt_id, commit=info)

    def _seconds_trained(self) -> float:
        """Seconds of training behind the current state, over all attempts that led to it."""
        return self._trained_before + self._training_seconds()

    def _training_seconds(self) -> float:
        """Seconds since the present attempt began to train."""
        return self._clocks.monotonic() - self._training_since if self._training_since is not None else 0.0

    def _resolve(self, pending: PendingSave, failure: str | None) -> bool:
        """Whether it was of the present attempt, and open until now."""
        with self._lock:
            if not self._saves.resolve(pending, failure):
                return False
            self._lock.notify_all()
        if failure is not None:
            self._emit(
                events.SaveFailed(time=self._clocks.wall(), step=pending.save.step, error=failure, will_retry=True)
            )
        return True

    def _begin_saves(self, term: int) -> None:
        self._saves.begin(term, self._attempt_id, self._workers)
        self._lock.notify_all()

    def _lose_run(self, error: SojournError, pending: PendingSave) -> None:
        """Nothing of the save's attempt may go on: the run is somebody else's, or its checkpoints cannot be committed.

        An attempt that has begun since learns from its own saves whether that is true of it.
        """
        with self._lock:
            if not pending.resolved:
                self._failure = self._failure or _failure_of(error)
                self.ask(Request.ABORT)

    def _decide_roll_back(self, step: int) -> CommitInfo | None:
        latest = self._run.state.latest
        policy = self._job.spec.training.on_nan
        where = f"the last good checkpoint is step {latest.step}" if latest else "there is no checkpoint yet"
        if policy == "Stop" or latest is None:
            self.give_up(
                f"the loss is not finite after step {step}; {where}",
                "Lower the learning rate or look at the data near that step; spec.training.onNaN: RollBack goes back "
                "and leaves out the batches since.",
                "NotFinite",
            )
            return None
        self._backoff = self._backoff.after_failure()
        if self._backoff.exhausted:
            self.give_up(
                f"the loss is not finite after step {step}, the failure number {self._backoff.failures} without a new "
                f"checkpoint between; {where}",
                "Lower the learning rate or look at the data near that step.",
                "BackoffLimitExceeded",
            )
            return None
        reason = "the loss was not finite; the batches since are left out"
        self._emit(events.RolledBack(time=self._clocks.wall(), from_step=step, to_step=latest.step, reason=reason))
        return latest

    def _count_failure(self) -> None:
        error = self._attempt_error or "a worker process was lost"
        if self._leaving:
            error = f"the cluster took {', '.join(sorted(self._leaving))} away"
            self._leaving.clear()
        else:
            self._backoff = self._backoff.after_failure()
            self._lost += 1
        self._emit(
            events.AttemptFailed(
                time=self._clocks.wall(),
                attempt=self._attempt_id,
                error=error,
                failures=self._backoff.failures,
                backoff_limit=self._backoff.limit,
            )
        )
        if self._backoff.exhausted:
            self.give_up(
                f"{self._backoff.failures} failures without a new checkpoint between them; the last: {error}",
                "Read the log, mend the cause and run the job again; it goes on from the last checkpoint. "
                "spec.backoffLimit allows more.",
                "BackoffLimitExceeded",
            )

    def _report_retired(self, keys: tuple[str, ...]) -> None:
        self._emit(events.Retired(time=self._clocks.wall(), checkpoints=keys))

    def _emit(self, event: events.Event) -> None:
        for observer in self._observers:
            observer.observe(event)


def _failure_of(error: SojournError) -> WorkerFailure:
    return WorkerFailure(-1, error.message, error.hint, True, error.exit_code, type(error).__name__)
