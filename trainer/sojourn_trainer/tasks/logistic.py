"""Logistic regression for two classes or more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from sojourn_trainer.task import Task


def build(
    shape: Sequence[int] = (30,),
    classes: int = 2,
    l2: float = 0.001,
    learning_rate: float = 0.1,
    decay_steps: int = 500,
) -> Task:
    """One Dense layer, cross-entropy; Adam with cosine decay. Metrics: accuracy; precision, recall, f1 of two classes.

    Args:
        shape: of one row; flattened. Inputs are best scaled (`normalize`).
        classes: labels are integers below it. Of 2 the model gives the probability of class 1, of more that of each.
        l2: added to the loss times the sum of the squared weights; 1 / (2 C rows) for scikit-learn's C.
        learning_rate: at the start; it decays to 0 over `decay_steps` steps.
        decay_steps: length of the schedule; make it that of the run.
    """
    binary = classes == 2
    model = keras.Sequential(
        [
            keras.layers.Input(tuple(shape), name="features"),
            keras.layers.Flatten(),
            keras.layers.Dense(
                1 if binary else classes,
                activation="sigmoid" if binary else "softmax",
                kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
                name="probability" if binary else "probabilities",
            ),
        ]
    )
    metrics = keras.metrics
    of_binary = [
        metrics.Precision(name="precision"),
        metrics.Recall(name="recall"),
        F1(average="micro", threshold=0.5, name="f1"),
    ]
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)),
        loss=keras.losses.BinaryCrossentropy() if binary else keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", *(of_binary if binary else ())],
    )
    return Task(model)


class F1(keras.metrics.F1Score):
    """Keras' own, which wants two dimensions, for labels that have one."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(keras.ops.reshape(y_true, (-1, 1)), y_pred, sample_weight)
