"""What is kept of a run and where: checkpoints, exports, and the checkpoint a run starts from."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model, Rule, Union, exactly_one, unchangeable_optional

THE_RUN: Final = "The run: its name, NAME-RUNID, or its folder in the store"
ExportFormat = Literal["SavedModel", "Keras", "H5"]


class StoreReference(Union):
    """A store: exactly one of the fields."""

    name: str | None = Field(
        default=None,
        pattern=patterns.JOB_NAME.regex,
        max_length=40,
        description="Name of a CheckpointStore of the same namespace; for `sojourn run`, in a file given along.",
    )
    uri: str | None = Field(
        default=None,
        pattern=patterns.RUN_STORE_URI.regex,
        max_length=1024,
        description="Address of the store itself, for stores that need no credentials of their own: "
        f"{patterns.RUN_STORE_URI.meaning}.",
    )

    rules = (exactly_one("name", "uri"),)


class AutoInterval(Model):
    """As often as a bound on the cost allows, by what saves are measured to cost."""

    max_overhead_percent: float = Field(
        default=3.5,
        ge=0.1,
        le=50,
        description="By how much saving may lengthen training, in percent. The shortest interval that keeps this is "
        "chosen, but none below 10 seconds unless failures are that frequent.",
    )
    mean_time_between_failures_seconds: int | None = Field(
        default=None,
        ge=1,
        le=1 << 31,
        description="How long a worker group of this size trains until something fails, where that is known. Without "
        "it: what the driver has seen itself. It makes intervals longer that are not worth their cost.",
    )


class Interval(Union):
    """How often: exactly one of the fields."""

    steps: int | None = Field(default=None, ge=1, le=1 << 53, description="After so many steps.")
    seconds: int | None = Field(default=None, ge=1, le=1 << 31, description="At the first step after so many seconds.")
    auto: AutoInterval | None = Field(
        default=None, description="By what saves are measured to cost: `auto: {}` takes the defaults."
    )

    rules = (exactly_one("steps", "seconds", "auto"),)


class KeepBest(Model):
    """Checkpoints that are kept because a metric was best there."""

    metric: str = Field(
        examples=["val_accuracy"],
        min_length=1,
        max_length=253,
        description="A metric of the run's history, such as val_accuracy.",
    )
    mode: Literal["Max", "Min"] = Field(
        examples=["Max"], description="Whether the largest or the smallest value is the best."
    )
    count: int = Field(default=1, ge=1, le=1000, description="How many of the best to keep.")


class CheckpointPolicy(Model):
    """Where checkpoints go, how often they are made and which are kept."""

    store: StoreReference | None = Field(
        default=None, description="Where the run lives. Needed on a cluster; `sojourn run --store` gives it otherwise."
    )
    every: Interval = Field(
        default=Interval(seconds=60),
        description="How often a checkpoint is made, besides the one at the end and those that a stop asks for.",
    )
    keep_last: int = Field(default=3, ge=1, le=100000, description="How many of the newest checkpoints to keep.")
    keep_best: KeepBest | None = Field(default=None, description="Which others to keep; also what NAME@best means.")
    keep_every_hours: float | None = Field(
        default=None,
        ge=0.1,
        le=10000,
        description="Also keep, for good, the first checkpoint of every so many hours of training.",
    )
    request: str | None = Field(
        default=None,
        pattern=patterns.TOKEN.regex,
        max_length=63,
        description="On a cluster, any new value asks for a checkpoint now; status.checkpointRequest answers it.",
    )

    rules = unchangeable_optional("store", why="a run moves to another store by a Migration")


class Export(Model):
    """The forms in which the trained model is written at the end of the run."""

    formats: tuple[ExportFormat, ...] = Field(
        examples=[["SavedModel"]],
        strict=False,
        min_length=1,
        max_length=3,
        description="SavedModel: for servers. Keras: one .keras file. H5: the older HDF5 file.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )

    rules = (
        Rule(
            "formats must not repeat one",
            "self.formats.all(a, self.formats.exists_one(b, a == b))",
            lambda export: len(set(export.formats)) == len(export.formats),
            at=("formats",),
        ),
    )


NamePattern = Annotated[str, Field(min_length=1, max_length=253)]


class RestoreVariables(Model):
    """Which variables to take from a checkpoint: those that match a pattern of `include` and none of `exclude`.

    Patterns are matched against names such as model/dense/kernel; `*` stands for anything.
    """

    include: tuple[NamePattern, ...] = Field(
        default=("model/*",), strict=False, min_length=1, max_length=64, description="Patterns of those to take."
    )
    exclude: tuple[NamePattern, ...] = Field(
        default=(), strict=False, max_length=64, description="Patterns of those to leave as the task makes them."
    )


class RestoreFrom(Model):
    """A checkpoint of another run that this run starts from."""

    checkpoint: str = Field(
        examples=["digits@best"],
        pattern=patterns.ADDRESS.regex,
        max_length=64,
        description=f"Which one: {patterns.ADDRESS.meaning.removeprefix('the address of a checkpoint: ')}.",
    )
    store: StoreReference | None = Field(
        default=None, description="Where the other run lives. Without it: this run's store."
    )
    variables: RestoreVariables | None = Field(
        default=None,
        description="Take only some variables, as for fine-tuning, and begin at step 0. Without it the run goes on "
        "from all of the checkpoint: step, optimizer and data position too.",
    )
