"""What is observed of a Migration: where it is, what it plans, and what it has cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sojourn.api.base import JsonObject, Model
from sojourn.api.meta import Time
from sojourn.api.progress import Pipeline, Progress
from sojourn.api.status import Conditions, Observed


class JourneyEnd(Model):
    """One end of the journey, with every default filled in."""

    cluster: str | None = Field(default=None, max_length=253, description="Name of the cluster; absent: this one.")
    namespace: str | None = Field(default=None, max_length=63, description="Namespace of the objects.")
    training_job: str | None = Field(default=None, max_length=63, description="Name of the TrainingJob.")
    model_server: str | None = Field(default=None, max_length=63, description="Name of the ModelServer.")
    transfer: str | None = Field(default=None, max_length=63, description="Name of the CheckpointTransfer.")
    store: str | None = Field(default=None, max_length=1024, description="Name or address of the store.")
    run_id: str | None = Field(default=None, max_length=64, description="UUID of the run.")
    run: str | None = Field(default=None, max_length=1024, description="Folder of the run in the store.")


class FencedAt(Model):
    """The moment of the hand-over, as the source's log holds it."""

    entry: int | None = Field(default=None, ge=0, description="Number of the entry.")
    digest: str | None = Field(default=None, max_length=71, description="Digest of the entry.")
    time: Time | None = Field(default=None, description="When it was written.")


class MigrationStatus(Observed):
    """What was observed of a Migration."""

    conditions: Conditions = Field(
        default=(),
        description="Feasible: nothing is known that would fail. Complete and Failed summarise. AwaitingTarget: the "
        "source has handed over, and the target does not yet go on.",
    )
    phase: str | None = Field(default=None, max_length=32, description="The stage under way, or how it ended.")
    pipeline: Pipeline = Field(default=(), description="Preflight, Checkpoint, Transfer, Verify, Fence, Resume, Serve.")
    plan: JsonObject = Field(default={}, description="What will be done, and what was found out before.")
    source: JourneyEnd | None = Field(default=None, description="Where it comes from.")
    target: JourneyEnd | None = Field(default=None, description="Where it goes.")
    progress: Progress | None = Field(default=None, description="Bytes that have arrived.")
    bytes: int | None = Field(default=None, ge=0, description="Bytes that were sent.")
    seconds: Annotated[dict[str, float], Field(max_length=16)] = Field(
        default={}, description="How long each stage took, in seconds."
    )
    committed_step: int | None = Field(default=None, ge=0, description="The step that the source stopped at.")
    resumed_step: int | None = Field(default=None, ge=0, description="The step that the target went on from.")
    fenced: FencedAt | None = Field(default=None, description="The hand-over.")
    downtime_seconds: float | None = Field(
        default=None, ge=0, description="Seconds from the source's last step to the target's first."
    )
    url: str | None = Field(default=None, max_length=1024, description="Address of the server at the target.")
    start_time: Time | None = Field(default=None, description="When it started.")
    completion_time: Time | None = Field(default=None, description="When it ended.")
