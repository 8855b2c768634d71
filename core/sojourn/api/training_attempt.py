"""TrainingAttempt: one start of a job's pods. The operator asks by its spec, the pods answer by its status."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.attempt_status import TrainingAttemptStatus
from sojourn.api.base import JsonObject, Model, Rule, exactly_one, unchangeable, unchangeable_optional
from sojourn.api.checkpoint_store import PersistentVolume
from sojourn.api.meta import API_VERSION, ApiVersion, NameReference, ObjectMeta
from sojourn.api.training_job import Engine

StopReason = Literal["Suspend", "Deadline", "Migrate", "Delete", "Update"]
_MADE = "an attempt is one start; a change of the job makes the next attempt"


class AttemptMeta(ObjectMeta):
    """Name, namespace and labels, and the fields that an API server adds to an object it returns."""

    name: str = Field(
        examples=["digits-1"],
        pattern=patterns.ATTEMPT_NAME.regex,
        max_length=50,
        description="Name of the job, '-' and the number of the attempt.",
    )


class ResolvedStore(Model):
    """Where the run lives, found from the job's store: exactly one of uri and pvc."""

    name: str | None = Field(
        default=None,
        pattern=patterns.JOB_NAME.regex,
        max_length=40,
        description="The CheckpointStore that it was found in.",
    )
    uri: str | None = Field(
        default=None,
        pattern=patterns.RUN_STORE_URI.regex,
        max_length=1024,
        description=f"Address of the store: {patterns.RUN_STORE_URI.meaning}.",
    )
    pvc: PersistentVolume | None = Field(default=None, description="A folder of a PersistentVolumeClaim.")
    secret_ref: NameReference | None = Field(
        default=None, description="Secret with the object store's credentials, as environment variables."
    )
    region: str | None = Field(default=None, min_length=1, max_length=63, description="Region of an object store.")
    endpoint: str | None = Field(
        default=None, pattern=patterns.ENDPOINT.regex, max_length=1024, description="Base address of an object store."
    )

    rules = (exactly_one("uri", "pvc"),)


class Stop(Model):
    """A request to commit a checkpoint and end."""

    token: str = Field(
        examples=["suspend-3"],
        pattern=patterns.TOKEN.regex,
        max_length=63,
        description="Names the request; status.stopped answers it.",
    )
    reason: StopReason = Field(examples=["Suspend"], description="What for.")


class TrainingAttemptSpec(Model):
    """What the operator asks of the pods."""

    job_name: str = Field(
        examples=["digits"],
        pattern=patterns.JOB_NAME.regex,
        max_length=40,
        description="Name of the TrainingJob.",
    )
    job_uid: str = Field(
        examples=["6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11"],
        min_length=1,
        max_length=64,
        description="UID of the TrainingJob, which tells it from a later one of its name.",
    )
    number: int = Field(examples=[1], ge=1, le=10**9 - 1, description="Which attempt of the job this is, from 1.")
    run_id: str | None = Field(
        default=None, max_length=64, description="UUID of the run to resume; absent: found by name, or made."
    )
    engine: Engine = Field(default="Job", description="How the attempt becomes pods.")
    job: JsonObject = Field(
        examples=[{}], description="The spec of the TrainingJob as it was when the attempt was made."
    )
    prior_failures: int = Field(
        default=0, ge=0, description="Failures without a new checkpoint that earlier attempts have had in a row."
    )
    store: ResolvedStore = Field(description="Where the run lives.")
    restore_store: ResolvedStore | None = Field(
        default=None, description="Where the checkpoint of spec.job.restoreFrom is, if it is in another store."
    )
    standby: bool = Field(
        default=False, description="Get ready and wait: runId says which run it is once this is false."
    )
    stop: Stop | None = Field(default=None, description="Commit a checkpoint and end.")
    checkpoint_request: str | None = Field(
        default=None,
        pattern=patterns.TOKEN.regex,
        max_length=63,
        description="Any new value asks for a checkpoint now; status.checkpointRequest answers it.",
    )

    rules = (
        *unchangeable("jobName", "jobUID", "number", "engine", "job", "priorFailures", "store", why=_MADE),
        *unchangeable_optional("restoreStore", why=_MADE),
        Rule(
            f"runId is given when standby ends, and cannot change otherwise: {_MADE}",
            "oldSelf.standby || "
            "(has(self.runId) == has(oldSelf.runId) && (!has(self.runId) || self.runId == oldSelf.runId))",
            at=("runId",),
        ),
        Rule("standby cannot be set later: what has its run does not wait", "oldSelf.standby || !self.standby"),
    )


class TrainingAttempt(Model):
    """One start of a job's pods, made by the operator. Its status is what the pods report."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Group and version of the resource.")
    kind: Literal["TrainingAttempt"] = Field(default="TrainingAttempt", description="Kind of the resource.")
    metadata: AttemptMeta = Field(description="Name, namespace and labels.")
    spec: TrainingAttemptSpec = Field(description="What is asked for.")
    status: TrainingAttemptStatus | None = Field(default=None, description="What was observed; written by the pods.")

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name
