"""What the model is trained on: a source, and what is done to its samples."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sojourn.api.base import (
    DEFINES_RUN,
    JsonObject,
    Model,
    Rule,
    Union,
    exactly_one,
    unchangeable,
    unchangeable_optional,
)
from sojourn.api.task import Entrypoint, Name, Path

BuiltinName = Literal["digits", "iris", "wine", "breast_cancer", "diabetes"]
Normalization = Literal["None", "MinMax", "Standard"]
RecordForm = Literal["Float", "Int", "Bytes", "Image"]
Colour = Literal["RGB", "Grey"]
Dimension = Annotated[int, Field(ge=1, le=1 << 20)]
OutlierAction = Literal["Clip", "Drop"]


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


class RecordValue(Model):
    """One value that every record holds, a feature of its tf.train.Example."""

    name: Name = Field(examples=["image"], description="The feature's name in the records, and the input's.")
    form: RecordForm = Field(
        default="Float",
        description="Float: a list of floats. Int: a list of int64. Bytes: one string of unsigned bytes. Image: one "
        "encoded image (PNG, JPEG, BMP or GIF), resized where its size is another. All but Int become float32.",
    )
    shape: tuple[Dimension, ...] = Field(
        default=(),
        strict=False,
        max_length=8,
        examples=[[28, 28]],
        description="Lengths of the value's axes; none for a single number. Images have 2 (grey) or 3, of which the "
        "last is 1, 3 or 4.",
    )

    rules = (
        Rule(
            "an Image has shape [height, width] or [height, width, 1, 3 or 4]",
            "self.form != 'Image' || size(self.shape) == 2 || (size(self.shape) == 3 && self.shape[2] in [1, 3, 4])",
            lambda it: it.form != "Image" or len(it.shape) == 2 or (len(it.shape) == 3 and it.shape[2] in (1, 3, 4)),
            at=("shape",),
            touches=("form", "shape"),
        ),
    )


class TfrecordData(Model):
    """TFRecord files of tf.train.Example records, not compressed: any record can be read by itself."""

    path: Path = Field(
        examples=["/data/train.tfrecord"],
        description="Path of the file on every worker, or of a folder whose files *.tfrecord* are read by name.",
    )
    inputs: tuple[RecordValue, ...] = Field(
        strict=False,
        min_length=1,
        max_length=256,
        examples=[[{"name": "image", "form": "Bytes", "shape": [28, 28]}]],
        description="Values that are inputs: one is the input itself, several are a dict by name.",
    )
    label: RecordValue = Field(examples=[{"name": "label", "form": "Int"}], description="The value that is the target.")


class ImageFolderData(Model):
    """Images (PNG, JPEG, BMP or GIF) in one folder per class; classes are numbered in the folders' order by name."""

    path: Path = Field(examples=["/data/flowers"], description="Path, on every worker, of the folder of folders.")
    height: int = Field(examples=[64], ge=1, le=8192, description="Images of another height are resized.")
    width: int = Field(examples=[64], ge=1, le=8192, description="Images of another width are resized.")
    colour: Colour = Field(
        default="RGB",
        description="RGB: inputs are float32 [height, width, 3] from 0 to 255. Grey: [height, width].",
    )


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
    tfrecord: TfrecordData | None = Field(default=None, description="TFRecord files.")
    images: ImageFolderData | None = Field(default=None, description="Images in one folder per class.")
    function: FunctionData | None = Field(default=None, description="A function of the task's code.")

    rules = (exactly_one("builtin", "npz", "csv", "tfrecord", "images", "function"),)


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


class OfTraining(Model):
    """A statistic of each feature over the training share, without its missing values."""


class ConstantFill(Model):
    """The same number for every feature."""

    value: float = Field(default=0.0, ge=-1e18, le=1e18, description="The number.")


class FillMissing(Union):
    """What takes the place of missing and non-finite inputs: exactly one of the fields."""

    mean: OfTraining | None = Field(default=None, description="The feature's mean.")
    median: OfTraining | None = Field(default=None, description="The feature's median; needs data that fits in memory.")
    constant: ConstantFill | None = Field(default=None, description="A number.")

    rules = (exactly_one("mean", "median", "constant"),)


class Quantiles(Model):
    """Values outside of two quantiles of the feature; needs data that fits in memory."""

    lower: float = Field(default=0.01, ge=0, le=1, description="Share of values below the lower bound.")
    upper: float = Field(default=0.99, ge=0, le=1, description="Share of values below the upper bound.")

    rules = (
        Rule(
            "lower must be less than upper",
            "self.lower < self.upper",
            lambda it: it.lower < it.upper,
            at=("lower",),
            touches=("lower", "upper"),
        ),
    )


class ZScore(Model):
    """Values far from the feature's mean."""

    limit: float = Field(
        default=3.0, gt=0, le=1e6, description="Distance from the mean, in standard deviations, beyond which they are."
    )


class Outliers(Model):
    """Which inputs are outliers, by statistics of the training share, and what is done about them."""

    quantile: Quantiles | None = Field(
        default=None, description="By quantiles. Exactly one of quantile and zScore is set."
    )
    z_score: ZScore | None = Field(
        default=None, description="By standard deviations. Exactly one of quantile and zScore is set."
    )
    action: OutlierAction = Field(
        default="Clip",
        description="Clip: they become the nearest value that is none, in every share and in exported models. Drop: "
        "samples of the training share that have one are left out.",
    )

    rules = (exactly_one("quantile", "zScore"),)


class Data(Model):
    """The data set, and how samples are prepared and ordered."""

    source: DataSource = Field(description="Where samples come from.")
    normalize: Normalization = Field(
        default="None",
        description="None: as they are. MinMax: every feature into [0, 1]. Standard: every feature to mean 0 and "
        "variance 1. Statistics are those of the training share. Exported models do the same to what they are given.",
    )
    fill_missing: FillMissing | None = Field(
        default=None, description="What takes the place of missing inputs; first of all, and in exported models too."
    )
    outliers: Outliers | None = Field(
        default=None, description="What is done about outliers among the inputs, before they are normalised."
    )
    drop_missing: bool = Field(
        default=True,
        description="Leave out samples with missing or non-finite values that fillMissing does not fill. Of functions "
        "that return a source, TFRecord files and images, none are looked for.",
    )
    split: Split = Field(default=Split(), description="Shares held back for validation and test.")
    shuffle: bool = Field(
        default=True, description="Visit samples in a new order every epoch, given by the run's seed."
    )
    prefetch: int = Field(default=2, ge=0, le=1024, description="Batches to prepare ahead of the step that needs them.")

    rules = (
        *unchangeable("source", "normalize", "dropMissing", "split", "shuffle", why=DEFINES_RUN),
        *unchangeable_optional("fillMissing", "outliers", why=DEFINES_RUN),
    )
