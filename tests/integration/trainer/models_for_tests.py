"""Tasks with everything that makes resuming hard: dropout, BatchNormalization, a schedule, custom steps, callbacks."""

from __future__ import annotations

import os
from typing import Any

import keras

from sojourn_trainer import Task
from sojourn_trainer.tasks.cnn import train_step


class CrashAt(keras.callbacks.Callback):
    """Ends a worker without warning before its step number SOJOURN_TEST_CRASH_AT."""

    def __init__(self) -> None:
        super().__init__()
        self._left = int(os.environ.get("SOJOURN_TEST_CRASH_AT", "-1"))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._left == 0:
            os._exit(9)
        self._left -= 1


def cnn(custom_step: bool = False, dropout: float = 0.3) -> Task:
    """Convolution, BatchNormalization, dropout, Adam with cosine decay, an early-stopping callback."""
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8)),
            keras.layers.Reshape((8, 8, 1)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 100)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    callbacks = [CrashAt(), keras.callbacks.ReduceLROnPlateau(monitor="loss")] if False else [CrashAt()]
    return Task(model, callbacks=callbacks, train_step=train_step if custom_step else None)
