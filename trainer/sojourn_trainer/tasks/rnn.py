"""A recurrent network that reads a sequence step by step and then says its class."""

from __future__ import annotations

import keras

from sojourn.errors import InvalidInput
from sojourn_trainer.task import Task
from sojourn_trainer.tasks.metrics import METRICS, of_classes

CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "simple": keras.layers.SimpleRNN}


def build(
    steps: int = 8,
    features: int = 8,
    classes: int = 10,
    cell: str = "gru",
    units: int = 64,
    learning_rate: float = 0.01,
    decay_steps: int = 500,
) -> Task:
    """One recurrent layer, Dense(classes, softmax), cross-entropy; Adam with cosine decay.

    Metrics: accuracy; precision, recall and f1 as means over the classes.

    Args:
        steps: length of a sequence; float inputs of shape [batch, steps, features], such as the rows of an image.
        features: inputs at each step.
        classes: labels are integers below it.
        cell: "gru", "lstm" or "simple".
        units: of the recurrent layer.
        learning_rate: at the start; it decays to 0 over `decay_steps` steps.
        decay_steps: length of the schedule; make it that of the run.

    Raises:
        InvalidInput: the cell is unknown.
    """
    if cell not in CELLS:
        raise InvalidInput(f"spec.task.args.cell: there is no cell {cell!r}", hint=f"Name one of {', '.join(CELLS)}.")
    model = keras.Sequential(
        [
            keras.layers.Input((steps, features), name="sequence"),
            CELLS[cell](units),
            keras.layers.Dense(classes, activation="softmax", name="probabilities"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=of_classes(METRICS),
    )
    return Task(model)
