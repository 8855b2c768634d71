"""CheckpointTransfer: one end of a copy. Each cluster's own operator makes the mover pod of its end."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model, Rule, unchangeable, unchangeable_optional
from sojourn.api.connection import Exposure, Listener, Relay
from sojourn.api.meta import API_VERSION, ApiVersion, Bandwidth, ObjectMeta
from sojourn.api.pods import Image, ImagePullPolicy, PodTemplate
from sojourn.api.policy import THE_RUN, StoreReference
from sojourn.api.resources import Resources
from sojourn.api.transfer_status import CheckpointTransferStatus

_ONE_COPY = "a transfer is one copy; make another"


class TransferMeta(ObjectMeta):
    """Name, namespace and labels, and the fields that an API server adds to an object it returns."""

    name: str = Field(
        examples=["digits-to-west-send"],
        pattern=patterns.ATTEMPT_NAME.regex,
        max_length=50,
        description="Name of the object; a migration's own, with -send or -receive added.",
    )


class TransferSource(Model):
    """What is copied."""

    store_ref: StoreReference | None = Field(
        default=None, description="The store that it is in; needed by the end that sends."
    )
    namespace: str | None = Field(
        default=None,
        pattern=patterns.NAMESPACE.regex,
        max_length=63,
        description="Namespace in the run's folder; absent: that of this object.",
    )
    run: str | None = Field(
        default=None,
        pattern=patterns.RUN.regex,
        max_length=253,
        description=f"{THE_RUN}; needed by the end that sends.",
    )
    checkpoint: str | None = Field(
        default=None,
        pattern=patterns.CHECKPOINT_CHOICE.regex,
        max_length=16,
        description="Which checkpoint, where one is copied: latest (as if absent), best or a step.",
    )
    export: int | None = Field(
        default=None, ge=0, le=1 << 53, description="Which version, where an export is copied; absent: the newest."
    )


class TransferTarget(Model):
    """Where it is copied to."""

    store_ref: StoreReference | None = Field(
        default=None, description="The store that receives it; needed by the end that receives."
    )
    namespace: str | None = Field(
        default=None,
        pattern=patterns.NAMESPACE.regex,
        max_length=63,
        description="Namespace in the new run's folder; absent: that of this object.",
    )
    name: str | None = Field(
        default=None,
        pattern=patterns.JOB_NAME.regex,
        max_length=40,
        description="Name of the new run; absent: the source's.",
    )


class Peer(Model):
    """The other end, as its status tells; a migration copies it."""

    certificate: str | None = Field(
        default=None, pattern=patterns.CERTIFICATE.regex, max_length=16384, description="Its certificate in PEM form."
    )
    address: str | None = Field(
        default=None, pattern=patterns.HOST.regex, max_length=253, description="Where it listens."
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Its port.")
    offer: str | None = Field(default=None, max_length=1024, description="Key of its offer in the relay's store.")


class FenceRecipient(Model):
    """Who goes on with the run."""

    run_id: str = Field(
        examples=["6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11"],
        pattern=patterns.UUID.regex,
        max_length=64,
        description="UUID of the new run.",
    )
    run: str | None = Field(default=None, max_length=1024, description="Its folder in its store.")
    store: str | None = Field(default=None, max_length=1024, description="Address of its store.")
    cluster: str | None = Field(default=None, max_length=253, description="Name of its cluster.")


class FenceOverride(Model):
    """An order to write the fence although nobody could be asked to stop; the run's log keeps it."""

    fence: str | None = Field(
        default=None,
        examples=["blake3:" + 64 * "0"],
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the fence that is overridden, and no other; absent: the run was not handed over.",
    )
    reason: str = Field(
        examples=["the cluster west burnt down"], min_length=1, max_length=1024, description="Why, for the log."
    )
    person: str | None = Field(default=None, max_length=253, description="Who ordered it.")


class FenceRequest(Model):
    """The hand-over: the end that sends writes the fence, the end that receives begins the new run behind it."""

    migration_id: str = Field(
        examples=["0d6a3f0e-7f0c-4f6e-8f43-0b9b4c1f7f55"],
        pattern=patterns.UUID.regex,
        max_length=64,
        description="Names the hand-over in both logs.",
    )
    term: int | None = Field(default=None, ge=0, le=1 << 53, description="The term that was copied; to send only.")
    manifest: str | None = Field(
        default=None,
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the newest checkpoint's manifest that was copied; absent if there is none.",
    )
    recipient: FenceRecipient | None = Field(default=None, description="Who goes on; to send only.")
    takeover: FenceOverride | None = Field(
        default=None, description="A person's order to take the run over, for the log; to send only."
    )
    digest: str | None = Field(
        default=None,
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the fence that was written; to receive only.",
    )


class CheckpointTransferSpec(Model):
    """Which end this is, what is copied, and how the ends find each other."""

    role: Literal["Send", "Receive"] = Field(examples=["Send"], description="Which end this is.")
    mode: Literal["Copy", "Move"] = Field(
        default="Copy", description="Copy: the source goes on. Move: it is fenced, and the copy goes on."
    )
    what: Literal["Run", "Checkpoint", "Export"] = Field(
        default="Run",
        description="Run: all that is needed to go on with it. Checkpoint: one of them. Export: one model.",
    )
    source: TransferSource = Field(default=TransferSource(), description="What is copied.")
    target: TransferTarget = Field(default=TransferTarget(), description="Where it is copied to.")
    listener: Listener = Field(default="Source", description="Which end listens; with a relay none does.")
    exposure: Exposure = Field(default=Exposure(), description="How the end that listens is reached.")
    relay: Relay | None = Field(default=None, description="A store through which the ends exchange everything.")
    peer: Peer | None = Field(default=None, description="The other end.")
    fence: FenceRequest | None = Field(default=None, description="The hand-over, once everything has arrived.")
    round: int = Field(
        default=1, ge=1, le=10**6, description="A higher number asks to copy what is new since the last one."
    )
    streams: int = Field(default=8, ge=1, le=32, description="Connections side by side.")
    bandwidth_limit: Bandwidth | None = Field(
        default=None, description="Bytes per second that the transfer may use at most, such as 25M."
    )
    image: Image | None = Field(default=None, description="Image of the mover; absent: the operator's setting.")
    image_pull_policy: ImagePullPolicy | None = Field(
        default=None, description="When nodes pull the image; absent: as Kubernetes does for its tag."
    )
    resources: Resources | None = Field(default=None, description="What the mover's pod gets.")
    pod_template: PodTemplate = Field(default=PodTemplate(), description="Additions to the mover's pod.")

    rules = (
        Rule(
            "role Send needs source.storeRef and source.run",
            "self.role != 'Send' || (has(self.source) && has(self.source.storeRef) && has(self.source.run))",
            lambda it: it.role != "Send" or (it.source.store_ref is not None and it.source.run is not None),
            at=("source",),
            touches=("role", "source"),
        ),
        Rule(
            "role Receive needs target.storeRef",
            "self.role != 'Receive' || (has(self.target) && has(self.target.storeRef))",
            lambda it: it.role != "Receive" or it.target.store_ref is not None,
            at=("target",),
            touches=("role", "target"),
        ),
        Rule(
            "a hand-over moves the whole run: mode Move needs what Run",
            "self.mode != 'Move' || self.what == 'Run'",
            lambda it: it.mode != "Move" or it.what == "Run",
            at=("what",),
            touches=("mode", "what"),
        ),
        Rule(
            "round only grows",
            "self.round >= oldSelf.round",
            at=("round",),
        ),
        *unchangeable("role", "mode", "what", "listener", why=_ONE_COPY),
        *unchangeable_optional("source", "target", "relay", why=_ONE_COPY),
    )


class CheckpointTransfer(Model):
    """One end of a copy between two stores: it sends or receives a run, a checkpoint or an export."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Group and version of the resource.")
    kind: Literal["CheckpointTransfer"] = Field(default="CheckpointTransfer", description="Kind of the resource.")
    metadata: TransferMeta = Field(description="Name, namespace and labels.")
    spec: CheckpointTransferSpec = Field(description="What is asked for.")
    status: CheckpointTransferStatus | None = Field(
        default=None, description="What was observed; written by the mover and the operator."
    )

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name
