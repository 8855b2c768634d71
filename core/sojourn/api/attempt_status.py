"""What the pods of an attempt report. They patch it field by field, so every part may be there without the others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model
from sojourn.api.meta import Time
from sojourn.api.status import (
    CheckpointRequestStatus,
    CommitStatus,
    Conditions,
    Metrics,
    Observed,
    SaveIntervalStatus,
    WorkerStatus,
)
from sojourn.api.task import Name

AttemptPhase = Literal[
    "Pending", "Starting", "Standby", "Running", "Stopping", "Succeeded", "Suspended", "Failed", "Lost"
]


class HeadStatus(Model):
    """The pod that drives the attempt."""

    pod: str | None = Field(default=None, max_length=253, description="Name of the pod.")
    uid: str | None = Field(default=None, max_length=64, description="UID of the pod; another one is a replacement.")
    address: str | None = Field(default=None, max_length=253, description="Address at which Ray's head listens.")
    dashboard_url: str | None = Field(default=None, max_length=1024, description="Address of the Ray dashboard.")


class RunStatus(Model):
    """The run in the store that the attempt works on."""

    run_id: str | None = Field(default=None, max_length=64, description="UUID of the run.")
    name: str | None = Field(default=None, max_length=63, description="Name of the run.")
    prefix: str | None = Field(default=None, max_length=1024, description="Folder of the run in the store.")
    code: str | None = Field(
        default=None, max_length=71, description="Digest of the archive of the task's code that the run keeps."
    )
    term: int | None = Field(default=None, ge=0, description="The term that this attempt holds.")
    log_head: str | None = Field(
        default=None,
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the newest entry of the run's log that the attempt has seen.",
    )


class StoppedStatus(Model):
    """How a request to stop was answered."""

    token: str | None = Field(default=None, max_length=63, description="Token of spec.stop that was answered.")
    step: int | None = Field(default=None, ge=0, description="The last committed step; nothing follows it.")


class ExportStatus(Model):
    """A model that the attempt wrote."""

    version: int = Field(examples=[1], ge=0, description="Version of the export in the run.")
    formats: tuple[Annotated[str, Field(max_length=32)], ...] = Field(
        default=(), strict=False, max_length=16, description="Forms it was written in."
    )
    manifest: str | None = Field(
        default=None, pattern=patterns.DIGEST.regex, max_length=71, description="Digest of the export's manifest."
    )
    step: int | None = Field(default=None, ge=0, description="Step whose weights it holds.")


class Outcome(Model):
    """How the attempt ended."""

    exit_code: int | None = Field(
        default=None, ge=0, le=255, description="Exit code of the head; 0 if it did what was asked."
    )
    reason: str | None = Field(default=None, max_length=128, description="Why, as one CamelCase word.")
    message: str | None = Field(default=None, max_length=4096, description="Why, for people.")
    hint: str | None = Field(default=None, max_length=4096, description="What to do about it.")


class Eviction(Model):
    """A pod that was told to stop and waits for a checkpoint."""

    pod: str = Field(examples=["digits-1-1"], max_length=253, description="Name of the pod.")
    time: Time = Field(examples=["2025-01-31T12:00:00Z"], description="When it was told to stop.")


class LaunchPhase(Model):
    """How long one phase of the start took."""

    phase: str = Field(examples=["ray"], max_length=64, description="Name of the phase.")
    seconds: float = Field(examples=[1.5], ge=0, description="Its length in seconds.")


class TrainingAttemptStatus(Observed):
    """What was observed of a TrainingAttempt. The pods write all but conditions, and phase where they are gone."""

    phase: AttemptPhase | None = Field(default=None, description="Where the attempt is, in one word.")
    conditions: Conditions = Field(
        default=(), description="Ready: the workers train. Complete and Failed: how it ended."
    )
    head: HeadStatus | None = Field(default=None, description="The pod that drives the attempt.")
    run: RunStatus | None = Field(default=None, description="The run it works on.")
    step: int | None = Field(default=None, ge=0, description="Steps done.")
    epoch: int | None = Field(default=None, ge=0, description="Epoch in progress, from 0.")
    total_steps: int | None = Field(default=None, ge=0, description="Steps after which the run is complete.")
    metrics: Metrics = Field(default={}, description="The newest metrics.")
    samples_per_second: float | None = Field(default=None, ge=0, description="Present speed over all workers.")
    eta_seconds: float | None = Field(default=None, ge=0, description="Seconds to the end, at the present speed.")
    last_commit: CommitStatus | None = Field(default=None, description="The newest committed checkpoint.")
    commits: tuple[CommitStatus, ...] = Field(
        default=(), strict=False, max_length=20, description="Its newest checkpoints, oldest first."
    )
    retired: tuple[Name, ...] = Field(
        default=(), strict=False, max_length=20, description="Folders of the checkpoints that were retired last."
    )
    checkpoint_request: CheckpointRequestStatus | None = Field(
        default=None, description="Which spec.checkpointRequest was answered, by which step."
    )
    save_interval: SaveIntervalStatus | None = Field(
        default=None, description="With spec.checkpoint.every.auto: how often a checkpoint is made, and why."
    )
    stopped: StoppedStatus | None = Field(default=None, description="Which spec.stop was answered, at which step.")
    failures: int | None = Field(default=None, ge=0, description="Failures since the last new checkpoint.")
    exports: tuple[ExportStatus, ...] = Field(
        default=(), strict=False, max_length=20, description="Models that it wrote."
    )
    outcome: Outcome | None = Field(default=None, description="How it ended.")
    evicted: tuple[Eviction, ...] = Field(
        default=(), strict=False, max_length=1000, description="Pods that were told to stop and wait for a checkpoint."
    )
    workers: WorkerStatus | None = Field(default=None, description="Its workers.")
    start_time: Time | None = Field(default=None, description="When training started.")
    completion_time: Time | None = Field(default=None, description="When it ended.")
    heartbeat_time: Time | None = Field(default=None, description="When the head last reported.")
    launch: tuple[LaunchPhase, ...] = Field(
        default=(), strict=False, max_length=32, description="How long the phases of the start took."
    )
