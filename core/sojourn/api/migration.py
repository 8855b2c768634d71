"""Migration: carry a run, a checkpoint or a model to another cluster, namespace or store, and go on there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model, Rule, exactly_one, unchangeable, unchangeable_optional
from sojourn.api.connection import Exposure, Listener, Relay
from sojourn.api.meta import API_VERSION, ApiVersion, Bandwidth, ObjectMeta
from sojourn.api.migration_status import MigrationStatus
from sojourn.api.model_server import ServerTemplate
from sojourn.api.pods import Image
from sojourn.api.policy import THE_RUN, StoreReference
from sojourn.api.resources import ResourceChanges
from sojourn.api.training_job import Strategy

ClusterName = Annotated[str, Field(pattern=patterns.JOB_NAME.regex, max_length=40)]
Namespace = Annotated[str, Field(pattern=patterns.NAMESPACE.regex, max_length=63)]
ObjectName = Annotated[str, Field(pattern=patterns.OBJECT_NAME.regex, max_length=253)]
NameMap = Annotated[dict[str, ObjectName], Field(max_length=64)]
_ONE_JOURNEY = "a migration is one journey; make another"


class ExportSource(Model):
    """A model that a run exported."""

    store_ref: StoreReference = Field(description="The store that the run lives in.")
    run: str = Field(
        examples=["digits"],
        pattern=patterns.RUN.regex,
        max_length=253,
        description=f"{THE_RUN}.",
    )
    version: int | None = Field(default=None, ge=0, le=1 << 53, description="Its version; absent: the newest.")


class RunSource(Model):
    """A run in a store, whether or not a job of it exists: the way out of a cluster that is dead."""

    store_ref: StoreReference = Field(description="The store that the run lives in.")
    name: str = Field(
        examples=["digits"],
        pattern=patterns.RUN.regex,
        max_length=253,
        description=f"{THE_RUN}.",
    )


class MigrationSource(Model):
    """Where it comes from, and exactly one of trainingJob, checkpoint, export and run."""

    cluster: ClusterName | None = Field(
        default=None, description="The RemoteCluster it comes from; absent: this cluster."
    )
    namespace: Namespace | None = Field(
        default=None, description="Namespace it comes from; absent: that of this object."
    )
    training_job: Annotated[str, Field(pattern=patterns.JOB_NAME.regex, max_length=40)] | None = Field(
        default=None, description="Name of a TrainingJob."
    )
    checkpoint: ObjectName | None = Field(default=None, description="Name of a Checkpoint.")
    export: ExportSource | None = Field(default=None, description="A model.")
    run: RunSource | None = Field(default=None, description="A run in a store.")

    rules = (exactly_one("trainingJob", "checkpoint", "export", "run"),)

    @property
    def choice(self) -> str:
        """Python name of what is carried."""
        return next(name for name in ("training_job", "checkpoint", "export", "run") if getattr(self, name) is not None)


class MigrationTarget(Model):
    """Where it goes."""

    cluster: ClusterName | None = Field(default=None, description="The RemoteCluster it goes to; absent: this cluster.")
    namespace: Namespace | None = Field(default=None, description="Namespace it goes to; absent: the source's.")
    store_ref: StoreReference | None = Field(
        default=None, description="Store it goes to; absent: the source's store as `mapping.stores` names it."
    )
    name: Annotated[str, Field(pattern=patterns.JOB_NAME.regex, max_length=40)] | None = Field(
        default=None, description="Name of the job, run or server there; absent: the source's."
    )


class Mapping(Model):
    """Names that differ at the target. A name that is not listed stays as it is."""

    secrets: NameMap = Field(default={}, description="Secrets, also those that pull images.")
    config_maps: NameMap = Field(default={}, description="ConfigMaps.")
    claims: NameMap = Field(default={}, description="PersistentVolumeClaims.")
    stores: NameMap = Field(default={}, description="CheckpointStores.")
    queues: NameMap = Field(default={}, description="Kueue's LocalQueues.")
    service_accounts: NameMap = Field(default={}, description="ServiceAccounts.")
    priority_classes: NameMap = Field(default={}, description="PriorityClasses.")
    runtime_classes: NameMap = Field(default={}, description="RuntimeClasses.")
    images: Annotated[dict[str, Annotated[str, Field(max_length=512)]], Field(max_length=64)] = Field(
        default={}, description="Images, or the part that they begin with, such as a registry."
    )
    node_selectors: Annotated[
        dict[str, Annotated[str, Field(pattern=patterns.LABEL_TERM.regex, max_length=381)]], Field(max_length=64)
    ] = Field(default={}, description='Node selectors, written KEY=VALUE; "" leaves one out.')


class Resume(Model):
    """Go on training at the target. What is absent stays as it was."""

    workers: int | None = Field(default=None, ge=1, le=10000, description="Number of workers.")
    strategy: Strategy | None = Field(default=None, description="How replicas work together.")
    resources: ResourceChanges | None = Field(default=None, description="What each worker gets.")
    queue: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="Kueue's LocalQueue.")
    image: Image | None = Field(default=None, description="Image of the workers.")
    standby: bool = Field(
        default=True,
        description="Mode Cold: have the pods ready at the target, and the newest checkpoint copied, before a source "
        "that trains is stopped. Set it to false where both cannot have their pods at the same time.",
    )


class Serve(ServerTemplate):
    """Serve the model at the target by a ModelServer."""

    name: Annotated[str, Field(pattern=patterns.JOB_NAME.regex, max_length=40)] | None = Field(
        default=None, description="Name of the ModelServer; absent: the target's."
    )


class Takeover(Model):
    """An order to go on although the source cannot be asked to stop; the run's log keeps it.

    With `fence` it overrides an earlier hand-over.
    """

    reason: str = Field(
        examples=["the source cluster burnt down"],
        min_length=1,
        max_length=1024,
        description="Why, for whoever reads the run's log later.",
    )
    person: str | None = Field(default=None, max_length=253, description="Who ordered it.")
    fence: str | None = Field(
        default=None,
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the fence that is overridden: the run was handed over to somebody who is lost. "
        "`sojourn history -o json` shows it, and who refuses to start the run.",
    )


class MigrationSpec(Model):
    """From where to where, how, and what then."""

    mode: Literal["Copy", "Cold"] = Field(
        examples=["Cold"],
        description="Copy: the source goes on. Cold: it stops at a checkpoint, and the target goes on.",
    )
    source: MigrationSource = Field(description="Where it comes from.")
    target: MigrationTarget = Field(default=MigrationTarget(), description="Where it goes.")
    mapping: Mapping = Field(default=Mapping(), description="Names that differ at the target.")
    resume: Resume | None = Field(default=None, description="Go on training there.")
    serve: Serve | None = Field(default=None, description="Serve the model there.")
    dry_run: bool = Field(
        default=False, description="Only say what would be done, and what would fail; set it to false to go ahead."
    )
    deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        le=1 << 31,
        description="Seconds after which a migration that has not fenced the source gives up, and the source goes on.",
    )
    takeover: Takeover | None = Field(
        default=None, description="Go on although the source cannot hand over. Make sure that nothing trains there."
    )
    listener: Listener = Field(default="Source", description="Which end of the transfer listens.")
    exposure: Exposure = Field(default=Exposure(), description="How the end that listens is reached.")
    relay: Relay | None = Field(default=None, description="A store through which the ends exchange everything.")
    bandwidth_limit: Bandwidth | None = Field(
        default=None, description="Bytes per second that the transfer may use at most, such as 25M."
    )

    rules = (
        Rule(
            "mode Cold hands over a run: it needs source.trainingJob or source.run",
            "self.mode != 'Cold' || has(self.source.trainingJob) || has(self.source.run)",
            lambda it: it.mode != "Cold" or it.source.choice in ("training_job", "run"),
            at=("source",),
            touches=("mode", "source"),
        ),
        Rule(
            "a model cannot be resumed: an export is for serve",
            "!has(self.source.export) || !has(self.resume)",
            lambda it: it.source.export is None or it.resume is None,
            at=("resume",),
            touches=("source", "resume"),
        ),
        Rule(
            "dryRun cannot be set later: what was begun is under way",
            "oldSelf.dryRun || !self.dryRun",
            at=("dryRun",),
        ),
        *unchangeable("mode", "source", why=_ONE_JOURNEY),
        *unchangeable_optional("target", why=_ONE_JOURNEY),
    )


class Migration(Model):
    """A journey: a run, a checkpoint or a model goes to another cluster, namespace or store, and goes on there."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Group and version of the resource.")
    kind: Literal["Migration"] = Field(default="Migration", description="Kind of the resource.")
    metadata: ObjectMeta = Field(description="Name, namespace and labels.")
    spec: MigrationSpec = Field(description="What is asked for.")
    status: MigrationStatus | None = Field(default=None, description="What was observed; written by the operator.")

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name
