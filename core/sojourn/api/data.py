"""What the model is trained on: a source, and what is done to its samples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sojourn.api.base import DEFINES_RUN, JsonObject, Model, Rule, Union, exactly_one, unchangeable
from sojourn.api.task import Entrypoint, Name, Path

BuiltinName = Literal["digits", "iris", "wine", "breast_cancer", "diabetes"]
Normalization = Literal["None", "MinMax", "Standard"]


class BuiltinData(Model):
    """A small real data set that comes with scikit-learn."""

    name: BuiltinName = Field(
        examples=["digits"], description="Name of the data set, as in sklearn.datasets.load_NAME."
    )


class NpzData(Model):
    """Arrays of a NumPy .npz archive; the first axis counts samples."""

    path: Path = Field(examples=["/data/mnist.npz"], description="Path of the archive on every worker.")
    x: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Array of inputs. Without it: x_train (as in mnist.npz), else x.",
    )
    y: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Array of targets. Without it: y_train (as in mnist.npz), else y.",
    )


class CsvData(Model):
    """A CSV file with a header line."""

    path: Path = Field(examples=["/data/samples.csv"], description="Path of the file on every worker.")
    label: str = Field(examples=["label"], min_length=1, max_length=253, description="Column that holds the target.")
    features: tuple[Name, ...] = Field(
        default=(),
        strict=False,
        max_length=4096,
        description="Columns that are inputs, in this order; all others if empty.",
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Character between two columns.")


class FunctionData(Model):
    """A function of the task's code that returns the data."""

    entrypoint: Entrypoint = Field(
        examples=["my_package.data:load"], description="module:function. It returns arrays, or a random-access source."
    )
    args: JsonObject = Field(default={}, description="Keyword arguments of the function.")


class DataSource(Union):
    """Where samples come from: exactly one of the fields."""

    builtin: BuiltinData | None = Field(default=None, description="A small real data set that comes with scikit-learn.")
    npz: NpzData | None = Field(default=None, description="A NumPy .npz archive.")
    csv: CsvData | None = Field(default=None, description="A CSV file with a header line.")
    function: FunctionData | None = Field(default=None, description="A function of the task's code.")

    rules = (exactly_one("builtin", "npz", "csv", "function"),)


class Split(Model):
    """Shares of the samples that are held back from training, drawn once with the run's seed."""

    validation: float = Field(default=0.0, ge=0, lt=1, description="Share for validation after every epoch.")
    test: float = Field(default=0.0, ge=0, lt=1, description="Share for one evaluation at the end.")

    rules = (
        Rule(
            "validation and test must leave something to train on: their sum must be less than 1",
            "self.validation + self.test < 1.0",
            lambda split: split.validation + split.test < 1,
            touches=("validation", "test"),
        ),
    )


class Data(Model):
    """The data set, and how samples are prepared and ordered."""

    source: DataSource = Field(description="Where samples come from.")
    normalize: Normalization = Field(
        default="None",
        description="None: as they are. MinMax: every feature into [0, 1]. Standard: every feature to mean 0 and "
        "variance 1. Statistics are those of the training share.",
    )
    drop_missing: bool = Field(default=True, description="Leave out samples with missing or non-finite values.")
    split: Split = Field(default=Split(), description="Shares held back for validation and test.")
    shuffle: bool = Field(
        default=True, description="Visit samples in a new order every epoch, given by the run's seed."
    )
    prefetch: int = Field(default=2, ge=0, le=1024, description="Batches to prepare ahead of the step that needs them.")

    rules = unchangeable("source", "normalize", "dropMissing", "split", "shuffle", why=DEFINES_RUN)
