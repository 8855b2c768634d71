"""How the model is trained: batch, length, seed, exactness, and the parts of an uncompiled model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sojourn.api.base import DEFINES_RUN, JsonObject, Model, Rule, exactly_one, unchangeable, unchangeable_optional
from sojourn.api.task import Name

Mode = Literal["Exact", "Fast"]
OnNaN = Literal["Stop", "RollBack", "Ignore"]


class Threads(Model):
    """Sizes of TensorFlow's thread pools in each worker."""

    intra_op: int = Field(
        default=1,
        ge=0,
        le=4096,
        description="Threads that share one operation; 0 leaves it to TensorFlow (mode Fast only).",
    )
    inter_op: int = Field(
        default=1,
        ge=0,
        le=4096,
        description="Operations that run side by side; 0 leaves it to TensorFlow (mode Fast only).",
    )


class KerasObject(Model):
    """A Keras object by its registered name."""

    name: str = Field(
        examples=["Adam"], min_length=1, max_length=253, description="Name as Keras knows it, such as Adam."
    )
    args: JsonObject = Field(default={}, description="Keyword arguments of its constructor.")


class Optimizer(KerasObject):
    """A Keras optimizer, and how its learning rate changes over the steps of the run.

    Keras' own arguments say the rest, such as `momentum` and `nesterov` of SGD, and for each of them how gradients are
    clipped: `clipnorm`, `global_clipnorm` or `clipvalue`.
    """

    schedule: KerasObject | None = Field(
        default=None,
        examples=[{"name": "CosineDecay", "args": {"initial_learning_rate": 0.01, "decay_steps": 1000}}],
        description="A learning rate schedule of keras.optimizers.schedules, in place of args.learning_rate.",
    )

    rules = (
        Rule(
            "schedule takes the place of args.learning_rate; set one of them",
            check=lambda it: it.schedule is None or "learning_rate" not in it.args,
            at=("schedule",),
            touches=("schedule", "args"),
        ),
    )


class Training(Model):
    """How long, in what batches, and how exactly the model is trained."""

    global_batch_size: int = Field(
        examples=[64],
        ge=1,
        le=1 << 30,
        description="Samples per step over all replicas together; divisible by their number.",
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=1 << 31,
        description="Passes over the training data. Exactly one of epochs and steps is set.",
    )
    steps: int | None = Field(
        default=None, ge=1, le=1 << 53, description="Steps in all. Exactly one of epochs and steps is set."
    )
    seed: int = Field(
        default=0, ge=0, le=(1 << 32) - 1, description="Seed of initial weights, dropout, data order and the split."
    )
    mode: Mode = Field(
        default="Exact",
        description="Exact: an interrupted run ends in the same bits as an uninterrupted one. Fast: XLA and "
        "non-deterministic kernels are allowed.",
    )
    threads: Threads = Field(
        default=Threads(), description="Thread pools of each worker. They influence results, so Exact mode pins them."
    )
    optimizer: Optimizer | None = Field(
        default=None,
        description="Optimizer: of a model that the task has compiled, in place of its own, where loss and metrics are "
        "not set; else together with them.",
    )
    loss: KerasObject | None = Field(default=None, description="Loss, for tasks that return an uncompiled model.")
    metrics: tuple[Name, ...] = Field(
        default=(),
        strict=False,
        max_length=64,
        description="Names of Keras metrics, for tasks that return an uncompiled model.",
    )
    on_nan: OnNaN = Field(
        default="Stop",
        description="What to do when the loss is not finite. Stop: fail the run at its last good checkpoint. RollBack: "
        "go back to it and leave out the batches since. Ignore: go on.",
    )

    rules = (
        exactly_one("epochs", "steps"),
        Rule(
            "mode Exact needs fixed thread counts: intraOp and interOp must be at least 1",
            "self.mode != 'Exact' || (self.threads.intraOp > 0 && self.threads.interOp > 0)",
            lambda it: it.mode != "Exact" or (it.threads.intra_op > 0 and it.threads.inter_op > 0),
            at=("threads",),
            touches=("mode", "threads"),
        ),
        *unchangeable("globalBatchSize", "seed", "mode", why=DEFINES_RUN),
        *unchangeable_optional("optimizer", "loss", "metrics", why=DEFINES_RUN),
        Rule(
            f"threads cannot change in mode Exact: {DEFINES_RUN}",
            "self.mode != 'Exact' || self.threads == oldSelf.threads",
            at=("threads",),
        ),
    )
