"""What a worker process is told when its group starts, and whom it talks to while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from sojourn.checkpoint.manifest import CheckpointMeta, Position
from sojourn.runlog.records import Commit, CommitInfo
from sojourn_trainer.checkpointing.interval import SaveCost
from sojourn_trainer.strategies.base import Place


@dataclass(frozen=True)
class RunRef:
    """A run as every process of it finds it: the store's address and the run's folder there."""

    store: str
    prefix: str
    name: str
    run_id: str


@dataclass(frozen=True)
class Assignment:
    """One attempt as one worker sees it.

    Attributes:
        run: where checkpoints are read and written.
        job: the TrainingJob's manifest as plain JSON.
        job_folder: the job's files in the run, "job/<digest>".
        spec_digest: of the parts of the manifest that define the run.
        attempt_id: of this start of the worker group.
        term: the number that lets this attempt commit.
        place: rank and addresses.
        restore: the checkpoint to start from, or None for a fresh model.
    """

    run: RunRef
    job: Mapping[str, Any]
    job_folder: str
    spec_digest: str
    attempt_id: str
    term: int
    place: Place
    restore: CommitInfo | None = None

    @property
    def takes_part(self) -> bool:
        """Whether `restore` is no checkpoint of this run: spec.restoreFrom.variables says what to take from it."""
        return self.restore is not None and not isinstance(self.restore, Commit)


@dataclass(frozen=True)
class SaveId:
    """One save of all workers together, by the attempt that has this term.

    `key` is the checkpoint's folder in the run, "data/<step>-<term>-<uuid>".
    """

    step: int
    term: int
    key: str


@dataclass(frozen=True)
class ShardSaved:
    """One worker's part of a save is durable in the store."""

    rank: int
    report: Mapping[str, Any]
    seconds: float
    stall_seconds: float
    nonfinite: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProgressUpdate:
    """Training as rank 0 sees it: one logged step."""

    step: int
    epoch: int
    loss: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples_per_second: float = 0.0


class Request(Enum):
    """What the coordinator asks of the workers at their next step boundary."""

    NONE = "none"
    CHECKPOINT = "checkpoint"
    STOP = "stop"  # commit, then end
    ABORT = "abort"  # end at once: another attempt owns the run


class Outcome(Enum):
    """How a worker's training ended without an error."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    ABORTED = "aborted"


@dataclass(frozen=True)
class WorkerFailure:
    """Why a worker's training raised; `permanent` if trying again cannot help, `reason` the kind of error."""

    rank: int
    message: str
    hint: str
    permanent: bool
    exit_code: int
    reason: str = ""


class CoordinatorPort(Protocol):
    """The workers' side of the coordinator (driver/coordinator.py). Calls block until the coordinator has answered."""

    def launched(self, phase: str, seconds: float) -> None:
        """A part of the start is done on rank 0."""
        ...

    def started(self, steps_per_epoch: int, total_steps: int, restored_step: int | None) -> None:
        """Rank 0 begins to train."""
        ...

    def progress(self, update: ProgressUpdate) -> None:
        """A logged step. Does not block."""
        ...

    def epoch_ended(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """A pass over the data is complete; `metrics` are exact over all replicas."""
        ...

    def shard_saved(self, save: SaveId, shard: ShardSaved, meta: CheckpointMeta | None) -> None:
        """Acknowledge a shard; `meta`, from rank 0 only, is what the checkpoint's manifest says of the run."""
        ...

    def save_failed(self, save: SaveId, rank: int, error: str) -> None:
        """This worker has given up on its shard, so the save cannot become a commit."""
        ...

    def save_skipped(self, step: int, reason: str) -> None:
        """The save that is due at `step` is left to a later one. Does not block."""
        ...

    def say(self, text: str) -> None:
        """Something worth reading, from rank 0."""
        ...

    def save_interval(self, cost: SaveCost | None) -> float:
        """Seconds between two saves with `every.auto`; `cost` is what the newest one cost, if that is new."""
        ...

    def wait_for_commit(self, save: SaveId) -> str | None:
        """Wait until the save is committed (None) or has failed (why)."""
        ...

    def request(self) -> Request:
        """What is asked for now."""
        ...

    def not_finite(self, step: int, next_batch: Position) -> CommitInfo | None:
        """The loss is NaN or infinite after `step`: the checkpoint to go back to, or None to end the attempt."""
        ...

    def stopped(self, step: int, outcome: Outcome, metrics: Mapping[str, float]) -> None:
        """Rank 0's last word."""
        ...

    def ended(self, rank: int) -> None:
        """This worker's part is over, the task's own code after the training included."""
        ...

    def failed(self, failure: WorkerFailure) -> None:
        """This worker's training raised; it ends now."""
        ...
