"""The coordinator as a Ray actor, and the two sides that call it. No worker ever waits for another through it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray

from sojourn import events
from sojourn.api import TrainingJob
from sojourn.checkpoint.manifest import CheckpointMeta, Position
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Commit, CommitInfo
from sojourn.store.open import open_store
from sojourn_trainer.checkpointing.interval import SaveCost
from sojourn_trainer.driver.coordinator import AttemptStart, Coordinator, Result
from sojourn_trainer.driver.launch_plan import LaunchPlan
from sojourn_trainer.driver.observers import EventQueue, RayMetrics, files_of_run
from sojourn_trainer.driver.timing import Clocks
from sojourn_trainer.workers.assignment import (
    Outcome,
    ProgressUpdate,
    Request,
    SaveId,
    ShardSaved,
    WorkerFailure,
)


class CoordinatorActor:
    """Runs with several threads: a worker may wait for a commit while another reports its shard.

    Args:
        failures: without a commit between them, before this driver.
    """

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self._queue = EventQueue()
        self._opened = threading.Event()
        self._plan: LaunchPlan | None = None
        self._coordinator: Coordinator | None = None

    def open(self, plan: LaunchPlan) -> None:
        """Coordinate this run from now on. Raises SojournError."""
        run = plan.prepared.run
        store = open_store(run.store)
        tensorboard = Path(plan.tensorboard) if plan.tensorboard is not None else None
        observers = [self._queue, *files_of_run(store, run.prefix, tensorboard), RayMetrics(run.name)]
        job = TrainingJob.model_validate(plan.job)
        log = RunLog.open(store, run.prefix)
        self._coordinator = Coordinator(job, log, observers, Clocks(), self._failures)
        self._plan = plan
        self._opened.set()

    def wait_for_plan(self) -> LaunchPlan:
        """What to train, once that is known."""
        self._opened.wait()
        assert self._plan is not None
        return self._plan

    def stand_by(self) -> None:
        """All workers are ready for a run; say so if there is none yet."""
        if not self._opened.is_set():
            self._queue.observe(events.StandingBy(time=time.time()))

    def call(self, method: str, *arguments: Any) -> Any:
        """One method of the coordinator, by name, once it is open."""
        return getattr(self._coordinator, method)(*arguments)

    def drain(self) -> list[str]:
        """Events since the last call, encoded."""
        return self._queue.drain()


THREADS = 64


class DriverHandle:
    """The driver's side of the actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def open(self, plan: LaunchPlan) -> None:
        ray.get(self._actor.open.remote(plan))

    def wait_for_plan(self) -> LaunchPlan:
        return ray.get(self._actor.wait_for_plan.remote())

    def stand_by(self) -> None:
        ray.get(self._actor.stand_by.remote())

    def begin_attempt(self, attempt_id: str, workers: int, info: Mapping[str, Any]) -> AttemptStart:
        return ray.get(self._actor.call.remote("begin_attempt", attempt_id, workers, info))

    def ask(self, request: Request, reason: str = "") -> None:
        ray.get(self._actor.call.remote("ask", request, reason))

    def expect_loss(self, host: str) -> None:
        ray.get(self._actor.call.remote("expect_loss", host))

    def is_training(self) -> bool:
        return ray.get(self._actor.call.remote("is_training"))

    def drain(self) -> list[str]:
        return ray.get(self._actor.drain.remote())

    def result(self) -> Result:
        return ray.get(self._actor.call.remote("result"))

    def is_complete(self) -> bool:
        return ray.get(self._actor.call.remote("is_complete"))

    def last_commit(self) -> Commit | None:
        return ray.get(self._actor.call.remote("last_commit"))

    def close(self) -> None:
        ray.get(self._actor.call.remote("close"))


class WorkerHandle:
    """CoordinatorPort over the actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def _call(self, method: str, *arguments: Any) -> Any:
        return ray.get(self._actor.call.remote(method, *arguments))

    def launched(self, phase: str, seconds: float) -> None:
        self._call("launched", phase, seconds)

    def started(self, steps_per_epoch: int, total_steps: int, restored_step: int | None) -> None:
        self._call("started", steps_per_epoch, total_steps, restored_step)

    def progress(self, update: ProgressUpdate) -> None:
        self._actor.call.remote("progress", update)

    def epoch_ended(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        self._call("epoch_ended", epoch, step, metrics)

    def shard_saved(self, save: SaveId, shard: ShardSaved, meta: CheckpointMeta | None) -> None:
        self._call("shard_saved", save, shard, meta)

    def save_failed(self, save: SaveId, rank: int, error: str) -> None:
        self._call("save_failed", save, rank, error)

    def save_skipped(self, step: int, reason: str) -> None:
        self._actor.call.remote("save_skipped", step, reason)

    def say(self, text: str) -> None:
        self._call("say", text)

    def save_interval(self, cost: SaveCost | None) -> float:
        return self._call("save_interval", cost)

    def wait_for_commit(self, save: SaveId) -> str | None:
        return self._call("wait_for_commit", save)

    def request(self) -> Request:
        return self._call("request")

    def not_finite(self, step: int, next_batch: Position) -> CommitInfo | None:
        return self._call("not_finite", step, next_batch)

    def stopped(self, step: int, outcome: Outcome, metrics: Mapping[str, float]) -> None:
        self._call("stopped", step, outcome, metrics)

    def ended(self, rank: int) -> None:
        self._call("ended", rank)

    def failed(self, failure: WorkerFailure) -> None:
        self._call("failed", failure)
