"""What the mover pod of a CheckpointTransfer reports. It patches it field by field."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sojourn.api.base import Model
from sojourn.api.meta import Time
from sojourn.api.progress import Pipeline, Progress
from sojourn.api.status import Conditions, Observed

TransferPhase = Literal["Pending", "Waiting", "Running", "Verified", "Succeeded", "Failed"]


class OfferedRun(Model):
    """The source's run as the sender offers it."""

    run_id: str | None = Field(default=None, max_length=64, description="UUID of the run.")
    name: str | None = Field(default=None, max_length=63, description="Name of the run.")
    namespace: str | None = Field(default=None, max_length=63, description="Namespace in its folder's name.")
    prefix: str | None = Field(default=None, max_length=1024, description="Folder of the run in its store.")
    term: int | None = Field(default=None, ge=0, description="Newest term in its log.")
    step: int | None = Field(default=None, ge=0, description="Step of its newest checkpoint.")
    manifest: str | None = Field(default=None, max_length=71, description="Digest of that checkpoint's manifest.")


class ChildRun(Model):
    """The run in the target's store."""

    run_id: str | None = Field(default=None, max_length=64, description="UUID of the run.")
    run: str | None = Field(default=None, max_length=1024, description="Folder of the run in the store.")
    store: str | None = Field(default=None, max_length=1024, description="Address of the store.")
    step: int | None = Field(default=None, ge=0, description="Step that it begins with.")


class TransferPlan(Model):
    """What there is to copy."""

    files: int | None = Field(default=None, ge=0, description="Files in all.")
    bytes: int | None = Field(default=None, ge=0, description="Their size in bytes.")
    missing_files: int | None = Field(default=None, ge=0, description="Files that the target lacks.")
    missing_bytes: int | None = Field(default=None, ge=0, description="Bytes that the target lacks.")
    adopted: bool | None = Field(
        default=None, description="Whether both ends share the store, so that nothing is copied."
    )


class Verified(Model):
    """What is in the target, durable, with every digest right."""

    round: int | None = Field(default=None, ge=1, description="The spec.round that this answers.")
    term: int | None = Field(default=None, ge=0, description="The source's term that was copied.")
    step: int | None = Field(default=None, ge=0, description="Step of the newest checkpoint that was copied.")
    manifest: str | None = Field(default=None, max_length=71, description="Digest of its manifest.")
    files: int | None = Field(default=None, ge=0, description="Files that were verified.")
    bytes: int | None = Field(default=None, ge=0, description="Bytes that were verified.")
    copied_bytes: int | None = Field(default=None, ge=0, description="Bytes that were sent.")
    reused_bytes: int | None = Field(default=None, ge=0, description="Bytes that the target had already.")
    adopted: bool | None = Field(default=None, description="Whether both ends share the store.")


class Fenced(Model):
    """The fence that was written into the source's log."""

    migration_id: str | None = Field(default=None, max_length=64, description="The hand-over that it belongs to.")
    entry: int | None = Field(default=None, ge=0, description="Number of the entry.")
    digest: str | None = Field(default=None, max_length=71, description="Digest of the entry.")
    term: int | None = Field(default=None, ge=0, description="The last term of the source.")
    step: int | None = Field(default=None, ge=0, description="Step of the last checkpoint.")
    manifest: str | None = Field(default=None, max_length=71, description="Digest of that checkpoint's manifest.")


class FenceRefused(Model):
    """Why the fence was not written; nothing has changed."""

    migration_id: str | None = Field(default=None, max_length=64, description="The hand-over that was refused.")
    reason: str | None = Field(
        default=None, max_length=128, description="MovedOn: the source went on. Fenced: somebody else owns the run."
    )
    message: str | None = Field(default=None, max_length=4096, description="Why, for people.")


class CheckpointTransferStatus(Observed):
    """What was observed of a CheckpointTransfer. The mover writes all but conditions, address and port."""

    conditions: Conditions = Field(
        default=(), description="Ready: the mover can be reached. Complete and Failed: how it ended."
    )
    phase: TransferPhase | None = Field(
        default=None,
        description="Waiting: for the other end. Verified: all has arrived, and a hand-over waits for the fence.",
    )
    certificate: str | None = Field(
        default=None, max_length=16384, description="The mover's certificate in PEM form; its key never leaves it."
    )
    address: str | None = Field(default=None, max_length=253, description="Where the end that listens is reached.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Its port.")
    offer: str | None = Field(default=None, max_length=1024, description="Key of the offer in the relay's store.")
    store: str | None = Field(default=None, max_length=1024, description="Address of this end's store.")
    store_id: str | None = Field(
        default=None, max_length=128, description="What the store says of itself; equal at both ends if it is shared."
    )
    run: OfferedRun | None = Field(default=None, description="The source's run.")
    child: ChildRun | None = Field(default=None, description="Who is to go on, at the end that receives.")
    plan: TransferPlan | None = Field(default=None, description="What there is to copy.")
    progress: Progress | None = Field(default=None, description="Bytes that are done.")
    verified: Verified | None = Field(default=None, description="What has arrived and was verified.")
    fenced: Fenced | None = Field(default=None, description="The fence, at the end that sends.")
    refused: FenceRefused | None = Field(default=None, description="Why the fence was not written.")
    began: ChildRun | None = Field(default=None, description="The run in the target's store, once it exists.")
    pipeline: Pipeline = Field(default=(), description="Stages of the transfer.")
    reason: str | None = Field(default=None, max_length=128, description="Present trouble, as one CamelCase word.")
    message: str | None = Field(default=None, max_length=4096, description="Present trouble, for people.")
    hint: str | None = Field(default=None, max_length=4096, description="What to do about it.")
    pod: str | None = Field(default=None, max_length=253, description="Name of the mover's pod.")
    start_time: Time | None = Field(default=None, description="When the mover started.")
    completion_time: Time | None = Field(default=None, description="When it ended.")
    heartbeat_time: Time | None = Field(default=None, description="When the mover last reported.")
