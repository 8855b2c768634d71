"""The multi-layer perceptron that MNIST tutorials build, for small grey images of any size."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from sojourn_trainer.task import Task
from sojourn_trainer.tasks.metrics import of_classes


def build(
    hidden: int = 128,
    dropout: float = 0.2,
    classes: int = 10,
    learning_rate: float = 0.001,
    size: int = 8,
    metrics: Sequence[str] = (),
) -> Task:
    """Flatten, Dense(hidden, relu), Dropout, Dense(classes, softmax); Adam and sparse categorical cross-entropy.

    Args:
        hidden: units of the hidden layer.
        dropout: share of them left out in training, in [0, 1).
        classes: number of classes; labels are integers below it.
        learning_rate: Adam's.
        size: height and width of the images, float inputs of shape [batch, size, size].
        metrics: of precision, recall and f1, those wanted beside accuracy, each a mean over the classes.
    """
    model = keras.Sequential(
        [
            keras.layers.Input((size, size), name="image"),
            keras.layers.Flatten(),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(classes, activation="softmax", name="probabilities"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=of_classes(metrics),
    )
    return Task(model)
