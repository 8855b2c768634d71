"""TrainingJob: one training run as people ask for it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import DEFINES_RUN, Model, Rule, unchangeable, unchangeable_optional, unchangeable_presence
from sojourn.api.data import Data
from sojourn.api.meta import API_VERSION, ApiVersion, ObjectMeta
from sojourn.api.pods import Image, ImagePullPolicy, TrainerPodTemplate
from sojourn.api.policy import CheckpointPolicy, Export, RestoreFrom
from sojourn.api.resources import Resources
from sojourn.api.status import TrainingJobStatus
from sojourn.api.task import Task
from sojourn.api.training import Training

Engine = Literal["Job", "KubeRay"]
Strategy = Literal["MultiWorkerMirroredStrategy", "TPUStrategy", "MirroredStrategy", "Default"]

_CEL_REPLICAS: Final = (
    "self.workers.replicas * (self.strategy == 'MirroredStrategy' && has(self.workers.devices) ? self.workers.devices"
    " : self.strategy in ['MirroredStrategy', 'MultiWorkerMirroredStrategy'] && self.workers.resources.gpu > 1"
    " ? self.workers.resources.gpu : 1)"
)


class Tpu(Model):
    """The TPU slice that the workers of a job form together."""

    accelerator: str = Field(
        examples=["tpu-v5-lite-podslice"],
        min_length=1,
        max_length=63,
        description="Value of cloud.google.com/gke-tpu-accelerator, as in tpu-v5-lite-podslice.",
    )
    topology: str = Field(
        examples=["2x4"],
        pattern=patterns.TOPOLOGY.regex,
        max_length=32,
        description=f"Shape of the slice: {patterns.TOPOLOGY.meaning}.",
    )


class Workers(Model):
    """How many processes train together, and what each gets."""

    replicas: int = Field(default=1, ge=1, le=10000, description="Number of workers.")
    resources: Resources = Field(default=Resources(), description="What each worker gets.")
    devices: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Logical CPU devices to mirror over, for MirroredStrategy on a machine without GPUs.",
    )
    tpu: Tpu | None = Field(default=None, description="The TPU slice, for TPUStrategy on a cluster.")

    rules = (
        Rule(
            "devices are logical CPU devices: they cannot be combined with GPUs",
            "!has(self.devices) || self.resources.gpu == 0",
            lambda workers: workers.devices is None or workers.resources.gpu == 0,
            at=("devices",),
            touches=("devices", "resources"),
        ),
    )


class TrainingJobSpec(Model):
    """What to train, on what, how, and what to keep."""

    strategy: Strategy = Field(
        default="Default",
        description="How replicas work together. MultiWorkerMirroredStrategy: synchronous, over several workers. "
        "MirroredStrategy: synchronous, over the devices of one worker. TPUStrategy: a TPU slice. Default: one device.",
    )
    workers: Workers = Field(default=Workers(), description="How many workers, and what each gets.")
    task: Task = Field(description="What is trained.")
    data: Data | None = Field(
        default=None, description="What it is trained on. Not needed where the task returns its data."
    )
    training: Training = Field(description="How it is trained.")
    checkpoint: CheckpointPolicy = Field(
        default=CheckpointPolicy(), description="Where checkpoints go, and which are kept."
    )
    export: Export | None = Field(default=None, description="Forms in which to write the trained model at the end.")
    restore_from: RestoreFrom | None = Field(
        default=None, description="Start from a checkpoint of another run. It matters only when the run is created."
    )
    engine: Engine = Field(
        default="Job",
        description="How attempts become pods on a cluster. Job: an Indexed Job. KubeRay: a RayJob, where KubeRay's "
        "operator is installed.",
    )
    image: Image | None = Field(
        default=None,
        description="Image of the workers on a cluster; absent: the one that the operator is set up with.",
    )
    image_pull_policy: ImagePullPolicy | None = Field(
        default=None, description="When nodes pull the image; absent: as Kubernetes does for its tag."
    )
    pod_template: TrainerPodTemplate = Field(
        default=TrainerPodTemplate(), description="Additions to the workers' pods on a cluster."
    )
    startup_deadline_seconds: int = Field(
        default=600,
        ge=1,
        le=86400,
        description="Seconds that all workers of an attempt get to start, after which it is stopped and counts as a "
        "failure.",
    )
    backoff_limit: int = Field(
        default=6,
        ge=0,
        le=1000,
        description="Failures without a new checkpoint in between after which the job has failed.",
    )
    termination_grace_period_seconds: int = Field(
        default=60,
        ge=1,
        le=86400,
        description="Seconds that a worker gets to commit a checkpoint when it is told to stop.",
    )
    active_deadline_seconds: int | None = Field(
        default=None, ge=1, le=1 << 31, description="Seconds of activity after which the job is stopped and has failed."
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None, ge=0, le=1 << 31, description="Seconds after its end at which the job is deleted. The run stays."
    )
    suspend: bool = Field(
        default=False, description="Commit a checkpoint and stop; or, on a new job, do not start yet."
    )
    standby: bool = Field(
        default=False,
        description="Start the pods and have everything ready that needs no run, then wait until this is false. A "
        "Migration sets it for the job that goes on elsewhere.",
    )
    managed_by: str | None = Field(
        default=None,
        pattern=patterns.MANAGED_BY.regex,
        max_length=63,
        description="Controller that acts on this job instead of Sojourn's own.",
    )

    rules = (
        Rule(
            "MirroredStrategy and Default run in one worker: use MultiWorkerMirroredStrategy for more",
            "self.strategy in ['MultiWorkerMirroredStrategy', 'TPUStrategy'] || self.workers.replicas == 1",
            lambda spec: spec.strategy in ("MultiWorkerMirroredStrategy", "TPUStrategy") or spec.workers.replicas == 1,
            at=("workers", "replicas"),
            touches=("strategy", "workers"),
        ),
        Rule(
            "tpu is for TPUStrategy only",
            "self.strategy == 'TPUStrategy' || !has(self.workers.tpu)",
            lambda spec: spec.strategy == "TPUStrategy" or spec.workers.tpu is None,
            at=("workers", "tpu"),
            touches=("strategy", "workers"),
        ),
        Rule(
            "TPUStrategy uses no GPUs: gpu must be 0",
            "self.strategy != 'TPUStrategy' || self.workers.resources.gpu == 0",
            lambda spec: spec.strategy != "TPUStrategy" or spec.workers.resources.gpu == 0,
            at=("workers", "resources", "gpu"),
            touches=("strategy", "workers"),
        ),
        Rule(
            "devices is for MirroredStrategy only",
            "self.strategy == 'MirroredStrategy' || !has(self.workers.devices)",
            lambda spec: spec.strategy == "MirroredStrategy" or spec.workers.devices is None,
            at=("workers", "devices"),
            touches=("strategy", "workers"),
        ),
        Rule(
            "globalBatchSize must be divisible by the number of replicas (workers times the devices of each)",
            f"self.training.globalBatchSize % ({_CEL_REPLICAS}) == 0",
            lambda spec: spec.training.global_batch_size % spec.replica_count == 0,
            at=("training", "globalBatchSize"),
            touches=("strategy", "workers", "training"),
        ),
        unchangeable_presence("data", why=DEFINES_RUN),
        *unchangeable_optional("restoreFrom", why="it matters only when the run is created"),
        *unchangeable("engine", why="attempts of one job are made by one engine"),
        *unchangeable_optional("managedBy", why="two controllers would act on one job"),
    )

    @property
    def replica_count(self) -> int:
        """Replicas that share a global batch, as far as the manifest tells (the chips of a TPU are not counted)."""
        gpus = max(1, self.workers.resources.gpu)
        match self.strategy:
            case "MultiWorkerMirroredStrategy":
                return self.workers.replicas * gpus
            case "MirroredStrategy":
                return self.workers.devices or gpus
            case _:
                return self.workers.replicas


class TrainingJob(Model):
    """One training run: strategy, workers, task, data, checkpoint policy and export."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Group and version of the resource.")
    kind: Literal["TrainingJob"] = Field(default="TrainingJob", description="Kind of the resource.")
    metadata: ObjectMeta = Field(description="Name, namespace and labels.")
    spec: TrainingJobSpec = Field(description="What is asked for.")
    status: TrainingJobStatus | None = Field(default=None, description="What was observed; written by the operator.")

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name
