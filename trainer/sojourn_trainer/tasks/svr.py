"""Support vector regression with a linear, RBF or polynomial kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from sojourn_trainer.task import Task
from sojourn_trainer.tasks.kernels import feature_map


def build(
    features: int = 10,
    kernel: Mapping[str, Mapping[str, Any]] | None = None,
    epsilon: float = 0.1,
    l2: float = 0.001,
    learning_rate: float = 1.0,
    decay_steps: int = 500,
) -> Task:
    """The kernel's features, one Dense unit, epsilon-insensitive loss; Adam with cosine decay. Metrics: mse, mae, r2.

    Args:
        features: inputs per row; best scaled to variance 1 (`normalize: Standard`).
        kernel: see `sojourn_trainer.tasks.kernels.feature_map`; linear if not given.
        epsilon: errors up to it cost nothing, in units of the target.
        l2: added to the loss times the sum of the squared weights; 1 / (2 C rows) for scikit-learn's C.
        learning_rate: at the start, in units of the target per step; it decays to 0 over `decay_steps` steps.
        decay_steps: length of the schedule; make it that of the run.
    """
    row = keras.layers.Input((features,), name="features")
    unit = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(l2) if l2 else None, name="prediction")
    model = keras.Model(row, unit(feature_map(row, kernel or {"linear": {}})))
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)),
        loss=epsilon_insensitive(epsilon),
        metrics=[
            keras.metrics.MeanSquaredError(name="mse"),
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.R2Score(name="r2"),
        ],
    )
    return Task(model)


def epsilon_insensitive(epsilon: float) -> Callable[[Any, Any], Any]:
    """A loss of targets and predictions, both [batch, 1] or [batch]: max(0, |target - prediction| - epsilon)."""

    def loss(target: Any, prediction: Any) -> Any:
        return keras.ops.maximum(keras.ops.abs(target - prediction) - epsilon, 0)

    return loss
