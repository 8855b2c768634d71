"""Linear regression, by least squares; with a penalty on the weights it is ridge regression."""

from __future__ import annotations

import keras

from sojourn_trainer.task import Task


def build(features: int = 10, l2: float = 0.0, learning_rate: float = 1.0, decay_steps: int = 500) -> Task:
    """One Dense unit, mean squared error; Adam with cosine decay. Metrics: mse, mae, r2.

    Args:
        features: inputs per row; best scaled to variance 1 (`normalize: Standard`).
        l2: added to the loss times the sum of the squared weights; alpha / rows for scikit-learn's Ridge(alpha).
        learning_rate: at the start, in units of the target per step; it decays to 0 over `decay_steps` steps.
        decay_steps: length of the schedule; make it that of the run.
    """
    model = keras.Sequential(
        [
            keras.layers.Input((features,), name="features"),
            keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(l2) if l2 else None, name="prediction"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)),
        loss=keras.losses.MeanSquaredError(),
        metrics=[
            keras.metrics.MeanSquaredError(name="mse"),
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.R2Score(name="r2"),
        ],
    )
    return Task(model)
