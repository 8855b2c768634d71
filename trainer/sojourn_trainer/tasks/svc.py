"""Support vector classification with a linear, RBF or polynomial kernel; several classes one against the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from sojourn_trainer.task import Task
from sojourn_trainer.tasks.kernels import feature_map


def build(
    shape: Sequence[int] = (30,),
    classes: int = 2,
    kernel: Mapping[str, Mapping[str, Any]] | None = None,
    l2: float = 0.001,
    loss: str = "hinge",
    learning_rate: float = 0.05,
    decay_steps: int = 500,
) -> Task:
    """The kernel's features, one Dense layer, hinge loss; Adam with cosine decay. Metric: accuracy.

    Args:
        shape: of one row; flattened. Inputs are best scaled (`normalize`).
        classes: labels are integers below it. Of 2 the model gives one score, above 0 for class 1; of more it gives
            one per class.
        kernel: see `sojourn_trainer.tasks.kernels.feature_map`; linear if not given.
        l2: added to the loss times the sum of the squared weights; 1 / (2 C rows) for scikit-learn's C.
        loss: "hinge", as of scikit-learn's SVC, or "squared_hinge", as of its LinearSVC.
        learning_rate: at the start; it decays to 0 over `decay_steps` steps.
        decay_steps: length of the schedule; make it that of the run.
    """
    binary = classes == 2
    row = keras.layers.Input(tuple(shape), name="features")
    flat = keras.layers.Flatten()(row) if len(shape) > 1 else row
    layer = keras.layers.Dense(
        1 if binary else classes, kernel_regularizer=keras.regularizers.L2(l2) if l2 else None, name="scores"
    )
    model = keras.Model(row, layer(feature_map(flat, kernel or {"linear": {}})))
    right = keras.metrics.BinaryAccuracy("accuracy", threshold=0) if binary else "accuracy"
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)),
        loss=keras.losses.get(loss) if binary else one_against_rest(keras.losses.get(loss), classes),
        metrics=[right],
    )
    return Task(model)


def one_against_rest(loss: Callable[[Any, Any], Any], classes: int) -> Callable[[Any, Any], Any]:
    """A loss of integer labels [batch, 1] and scores [batch, classes]: the sum of a binary `loss` over the classes."""

    def summed(labels: Any, scores: Any) -> Any:
        signs = 2 * keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), classes) - 1
        return classes * loss(signs, scores)

    return summed
