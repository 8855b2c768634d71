"""What is observed of a TrainingJob. The operator writes it; nobody sets it in a manifest."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model
from sojourn.api.meta import Condition, Time
from sojourn.api.policy import StoreReference
from sojourn.api.progress import Pipeline, Progress

Phase = Literal["Pending", "Standby", "Running", "Suspending", "Suspended", "Complete", "Failed", "OwnedElsewhere"]


def _condition_list(schema: dict[str, Any]) -> None:
    schema.update({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})


Metrics = Annotated[dict[str, float], Field(max_length=256)]
Conditions = Annotated[tuple[Condition, ...], Field(strict=False, max_length=32, json_schema_extra=_condition_list)]


class Observed(Model):
    """What every status has."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="The metadata.generation that this speaks of."
    )
    conditions: Conditions = Field(default=(), description="Ready summarises; the others explain.")


class CommitStatus(Model):
    """One committed checkpoint."""

    step: int = Field(examples=[1200], ge=0, description="Step after which it was taken.")
    epoch: int = Field(examples=[3], ge=0, description="Epoch that step belongs to, from 0.")
    manifest: str = Field(
        examples=["blake3:" + 64 * "0"],
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the checkpoint's manifest.",
    )
    time: Time = Field(examples=["2025-01-31T12:00:00Z"], description="When it was committed.")
    metrics: Metrics = Field(default={}, description="Metrics at that step.")
    bytes: int | None = Field(default=None, ge=0, description="Size of its files in bytes.")
    checkpoint: str | None = Field(
        default=None, max_length=253, description="Folder of its files in the run, such as data/1200-1-5f0c."
    )


class CheckpointRequestStatus(Model):
    """The last checkpoint that was asked for by a token."""

    token: str | None = Field(default=None, max_length=63, description="Token of the request that was answered.")
    step: int | None = Field(default=None, ge=0, description="Step of the checkpoint that answers it.")


class SaveIntervalStatus(Model):
    """How often a checkpoint is made with `every.auto`, and why."""

    seconds: float = Field(examples=[42.5], ge=0, description="From one save to the next.")
    reason: str = Field(
        examples=["Overhead"],
        max_length=64,
        description="FirstSave, Overhead, FailureRate, WriteTime or Shortest: what the interval follows from.",
    )
    message: str = Field(default="", max_length=1024, description="The same for people.")
    cost_seconds: float = Field(default=0, ge=0, description="What a save takes away from training.")
    write_seconds: float = Field(default=0, ge=0, description="From the step boundary of a save to its commit.")


class WorkerStatus(Model):
    """Workers of the present attempt."""

    wanted: int = Field(default=0, ge=0, description="Workers that the attempt is to have.")
    ready: int = Field(default=0, ge=0, description="Workers that are part of the group.")


class Check(Model):
    """One thing that was looked up before a job that a migration brings starts here."""

    name: str = Field(max_length=64, description="What was looked at: Secrets, Quota, Nodes and so on.")
    result: Literal["Passed", "Failed", "Warning", "NotChecked"] = Field(
        description="Failed: the pods could not run. Warning: they may have to wait. NotChecked: nobody could tell."
    )
    message: str = Field(default="", max_length=4096, description="What was found, for people.")


class TrainingJobStatus(Observed):
    """What was observed of a TrainingJob."""

    phase: Phase | None = Field(default=None, description="Summary of the conditions in one word, for people.")
    conditions: Conditions = Field(
        default=(),
        description="Ready, Complete and Failed summarise; the others say which stage was reached.",
    )
    run_id: str | None = Field(default=None, max_length=64, description="UUID of the run in the store.")
    attempt: str | None = Field(
        default=None, max_length=253, description="Name of the present or last TrainingAttempt."
    )
    attempts: int | None = Field(default=None, ge=0, description="Attempts so far.")
    failures: int | None = Field(
        default=None, ge=0, description="Failures since the last new checkpoint; see spec.backoffLimit."
    )
    term: int | None = Field(default=None, ge=0, description="Newest term in the run's log: who may commit.")
    head: str | None = Field(
        default=None,
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the newest entry seen in the run's log.",
    )
    step: int | None = Field(default=None, ge=0, description="Steps done.")
    epoch: int | None = Field(default=None, ge=0, description="Epoch in progress, from 0.")
    last_commit: CommitStatus | None = Field(default=None, description="The newest committed checkpoint.")
    checkpoint_request: CheckpointRequestStatus | None = Field(
        default=None, description="Which spec.checkpoint.request was answered, by which step."
    )
    save_interval: SaveIntervalStatus | None = Field(
        default=None, description="With spec.checkpoint.every.auto: how often a checkpoint is made, and why."
    )
    total_steps: int | None = Field(default=None, ge=0, description="Steps after which the run is complete.")
    progress: Progress | None = Field(default=None, description="How much of the run is done.")
    eta_seconds: float | None = Field(default=None, ge=0, description="Seconds to the end, at the present speed.")
    samples_per_second: float | None = Field(default=None, ge=0, description="Present speed over all workers.")
    metrics: Metrics = Field(default={}, description="The newest metrics.")
    active_seconds: int | None = Field(
        default=None, ge=0, description="Seconds of activity in all attempts; see spec.activeDeadlineSeconds."
    )
    store: StoreReference | None = Field(default=None, description="The store that the run lives in.")
    prefix: str | None = Field(default=None, max_length=1024, description="Folder of the run in the store.")
    code: str | None = Field(
        default=None, max_length=71, description="Digest of the archive of the task's code that the run keeps."
    )
    dashboard_url: str | None = Field(
        default=None, max_length=1024, description="Address of the present attempt's Ray dashboard in the cluster."
    )
    pipeline: Pipeline = Field(default=(), description="Stages of the present attempt.")
    checks: Annotated[tuple[Check, ...], Field(strict=False, max_length=16)] = Field(
        default=(), description="What the pods would find here, while a migration is about to bring the run."
    )
    workers: WorkerStatus | None = Field(default=None, description="Workers of the present attempt.")
    start_time: Time | None = Field(default=None, description="When the first attempt started.")
    completion_time: Time | None = Field(default=None, description="When the job completed or failed.")
