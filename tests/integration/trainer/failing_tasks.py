"""A task that fails once its training has begun."""

from __future__ import annotations

import os
from typing import Any

import keras
from models_for_tests import linear

from sojourn_trainer import Task


class Raises(keras.callbacks.Callback):
    """Raises before the step SOJOURN_TEST_RAISE_AT of an attempt, if that is set."""

    def __init__(self) -> None:
        super().__init__()
        self._steps_left = int(os.environ.get("SOJOURN_TEST_RAISE_AT", "-1"))

    def get_state(self) -> None:
        """Nothing of it belongs to the run."""

    def set_state(self, state: None) -> None:
        return

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._steps_left == 0:
            raise RuntimeError("a bug in a callback")
        self._steps_left -= 1


def in_a_callback() -> Task:
    """The linear task with a callback that raises."""
    task = linear()
    return Task(task.model, callbacks=[*task.callbacks, Raises()])
