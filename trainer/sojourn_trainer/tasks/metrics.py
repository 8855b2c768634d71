"""Precision, recall and F1 of several classes, for integer labels: the mean over the classes, each counting alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from sojourn.errors import InvalidInput


class MacroF1(keras.metrics.F1Score):
    """The mean of the classes' F1. Labels are integers [batch] or [batch, 1], predictions scores [batch, classes]."""

    def __init__(self, name: str = "f1", dtype: Any = None) -> None:
        super().__init__(average="macro", name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
        return super().update_state(keras.ops.one_hot(labels, y_pred.shape[-1]), y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


class MacroPrecision(MacroF1):
    """The mean over the classes of the share, of what was said to be of a class, that is."""

    def __init__(self, name: str = "precision", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> Any:
        return _mean_share(self.true_positives, self.false_positives)


class MacroRecall(MacroF1):
    """The mean over the classes of the share, of what is of a class, that was found."""

    def __init__(self, name: str = "recall", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> Any:
        return _mean_share(self.true_positives, self.false_negatives)


METRICS = {"precision": MacroPrecision, "recall": MacroRecall, "f1": MacroF1}


def of_classes(more: Iterable[str]) -> list[Any]:
    """Accuracy and the metrics with these names.

    Raises:
        InvalidInput: there is no such metric.
    """
    more = tuple(more)
    unknown = [name for name in more if name not in METRICS]
    if unknown:
        raise InvalidInput(
            f"spec.task.args.metrics: there is no metric {', '.join(map(repr, unknown))}",
            hint=f"Name some of {', '.join(METRICS)}; accuracy is always there.",
        )
    return ["accuracy", *(METRICS[name]() for name in more)]


def _mean_share(right: Any, wrong: Any) -> Any:
    """0 for a class of which there is neither."""
    both = keras.ops.add(right, wrong)
    return keras.ops.mean(keras.ops.divide(right, keras.ops.maximum(both, keras.config.epsilon())))
