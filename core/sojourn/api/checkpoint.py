"""Checkpoint: a committed checkpoint as an object, so that people can list what there is to resume."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model, unchangeable, unchangeable_optional
from sojourn.api.meta import API_VERSION, ApiVersion, ObjectMeta, Time
from sojourn.api.policy import StoreReference
from sojourn.api.status import Conditions, Metrics, Observed

DeletionPolicy = Literal["Retain", "Delete"]
_COMMITTED = "a checkpoint is what was committed"


class CheckpointMeta(ObjectMeta):
    """Name, namespace and labels, and the fields that an API server adds to an object it returns."""

    name: str = Field(
        examples=["digits-1200-5f0c9"],
        pattern=patterns.LABEL_NAME.regex,
        max_length=63,
        description="Name of the job, step, and the first digits of the manifest's digest.",
    )


class RunReference(Model):
    """A run in its store."""

    name: str = Field(examples=["digits"], min_length=1, max_length=63, description="Name of the run.")
    run_id: str = Field(
        examples=["6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11"],
        pattern=patterns.UUID.regex,
        max_length=64,
        description="UUID of the run.",
    )
    prefix: str = Field(
        examples=["team/digits-6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11"],
        min_length=1,
        max_length=1024,
        description="Folder of the run in the store.",
    )


class CheckpointSpec(Model):
    """What was committed, and where it is."""

    store_ref: StoreReference = Field(description="The store that holds it.")
    run: RunReference = Field(description="The run that it belongs to.")
    job_name: str | None = Field(
        default=None, max_length=63, description="The TrainingJob of this namespace that made it."
    )
    step: int = Field(examples=[1200], ge=0, le=1 << 53, description="Step after which it was taken.")
    epoch: int = Field(default=0, ge=0, le=1 << 53, description="Epoch that step belongs to, from 0.")
    manifest: str = Field(
        examples=["blake3:" + 64 * "0"],
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of its manifest, which names the digest of every file.",
    )
    key: str = Field(
        examples=["data/1200-1-5f0c"], min_length=1, max_length=253, description="Folder of its files in the run."
    )
    bytes: int = Field(default=0, ge=0, le=1 << 62, description="Size of its files in bytes.")
    metrics: Metrics = Field(default={}, description="Metrics at that step.")
    time: Time | None = Field(default=None, description="When it was committed.")
    deletion_policy: DeletionPolicy = Field(
        default="Retain",
        description="What becomes of the files when this object is deleted. Retain: the run's own policy decides. "
        "Delete: they are retired and deleted too.",
    )

    rules = (
        *unchangeable("storeRef", "run", "step", "epoch", "manifest", "key", "bytes", why=_COMMITTED),
        *unchangeable_optional("jobName", "time", why=_COMMITTED),
    )


class CheckpointStatus(Observed):
    """What was observed of a Checkpoint."""

    conditions: Conditions = Field(
        default=(),
        description="Available: it can be restored; the reason is Committed, Retired or Corrupt.",
    )
    best: bool | None = Field(default=None, description="Whether it is the run's best by keepBest.")
    quality: str | None = Field(
        default=None, max_length=128, description="The metric that matters, such as val_accuracy=0.9812."
    )
    size: str | None = Field(default=None, max_length=32, description="Size of its files for people, such as 1.2GiB.")


class Checkpoint(Model):
    """A committed checkpoint: what can be resumed, from where, how good and how large it is."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Group and version of the resource.")
    kind: Literal["Checkpoint"] = Field(default="Checkpoint", description="Kind of the resource.")
    metadata: CheckpointMeta = Field(description="Name, namespace and labels.")
    spec: CheckpointSpec = Field(description="What was committed, and where it is.")
    status: CheckpointStatus | None = Field(default=None, description="What was observed; written by the operator.")

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name
