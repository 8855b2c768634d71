"""What a task function returns, and the call that replaces `model.fit` in an existing script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sojourn_trainer.data.source import Data, Source

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

TrainStep = Callable[["keras.Model", Any], dict[str, Any]]
"""A custom training step: (model, data) -> scalars to log. It runs on every replica, inside a tf.function."""

TrainingData = Data | Source | tuple[Any, ...]
"""Data, a random-access source, or arrays (x, y) or (x, y, sample_weight)."""


@dataclass(frozen=True)
class Task:
    """A model and what to train it on.

    Attributes:
        model: a Keras model; compiled, unless the manifest names loss and optimizer.
        data: None takes the manifest's `spec.data`. A function `InputContext -> tf.data.Dataset` is a pipeline of the
            user's own: it must yield this worker's batches without end, and resumes only with the same worker count.
        callbacks: Keras callbacks.
        train_step: replaces the model's own `train_step`.
        steps_per_epoch: needed with a pipeline of the user's own.
    """

    model: keras.Model
    data: TrainingData | Callable[[tf.distribute.InputContext], tf.data.Dataset] | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()
    train_step: TrainStep | None = None
    steps_per_epoch: int | None = None
