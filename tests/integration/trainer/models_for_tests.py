"""Tasks with everything that makes resuming hard: dropout, BatchNormalization, schedules, custom steps, callbacks."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import sojourn_trainer
from sojourn_trainer import ArraySource, Data, Task
from sojourn_trainer.checkpointing.saver import SaverSettings
from sojourn_trainer.loop import boundary
from sojourn_trainer.tasks import cnn as cnn_task
from sojourn_trainer.tasks import mlp
from sojourn_trainer.tasks.cnn import train_step


class Accident(keras.callbacks.Callback):
    """Ends a worker without warning before its step number SOJOURN_TEST_CRASH_AT; rank SOJOURN_TEST_CRASH_RANK only.

    SOJOURN_TEST_PACE seconds before each step let commits keep up with steps that take no time.
    """

    def __init__(self) -> None:
        super().__init__()
        rank = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]
        mine = os.environ.get("SOJOURN_TEST_CRASH_RANK", str(rank)) == str(rank)
        self._steps_left = int(os.environ.get("SOJOURN_TEST_CRASH_AT", "-1")) if mine else -1
        self._pace = float(os.environ.get("SOJOURN_TEST_PACE", "0"))

    def get_state(self) -> None:
        """Nothing of it belongs to the run."""

    def set_state(self, state: None) -> None:
        return

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        time.sleep(self._pace)
        if self._steps_left == 0:
            os._exit(9)
        self._steps_left -= 1


def noisy_step(model: keras.Model, data: Any) -> dict[str, Any]:
    """A training step with noise from Keras' global seed generator."""
    x, *rest = data
    return train_step(model, (x + 0.1 * keras.random.normal(tf.shape(x)), *rest))


def cnn(custom_step: bool = False, dropout: float = 0.3, plateau: bool = False) -> Task:
    """Convolution, BatchNormalization, dropout; Adam with cosine decay, or with ReduceLROnPlateau."""
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
    rate = 1e-2 if plateau else keras.optimizers.schedules.CosineDecay(1e-2, 100)
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    callbacks: list[keras.callbacks.Callback] = [Accident()]
    if plateau:
        callbacks.append(keras.callbacks.ReduceLROnPlateau(monitor="loss", min_delta=10.0, patience=1, verbose=0))
    return Task(model, callbacks=callbacks, train_step=noisy_step if custom_step else None)


def linear(learning_rate: float = 0.1) -> Task:
    """No dropout, no BatchNormalization: the same for any number of workers, up to rounding."""
    model = keras.Sequential([keras.layers.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return Task(model, callbacks=[Accident()])


def with_accident(build: Callable[..., Task]) -> Callable[..., Task]:
    """A ready task in which an accident can happen."""
    return lambda **args: dataclasses.replace(build(**args), callbacks=[Accident()])


tfrecord = with_accident(mlp.build)
images = with_accident(cnn_task.build)


class Counting(keras.Model):
    """Counts in a weight how often it was trained on each row."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.seen = self.add_weight(shape=(rows,), initializer="zeros", trainable=False, aggregation="sum", name="seen")

    def call(self, inputs: dict[str, Any]) -> Any:
        return self.dense(inputs["value"])

    def train_step(self, data: Any) -> dict[str, Any]:
        x, _, weight = keras.utils.unpack_x_y_sample_weight(data)
        weight = tf.ones(tf.shape(x["row"])) if weight is None else weight
        self.seen.value.assign_add(tf.math.unsorted_segment_sum(weight, x["row"], self.seen.shape[0]))
        return super().train_step(data)


def counting(rows: int = 100) -> Task:
    """A data set that batches do not divide, and a model that counts its rows."""
    numbers = np.arange(rows)
    model = Counting(rows)
    model.compile(optimizer="sgd", loss="mse")
    x = {"row": numbers, "value": np.ones((rows, 1), np.float32)}
    return Task(model, ArraySource((x, np.ones((rows, 1), np.float32))), callbacks=[Accident()])


def exploding(at_row: int = 700) -> Task:
    """The loss of one row is NaN; in batches of 128 it is in the sixth."""
    task = linear()
    x = np.random.default_rng(0).random((1280, 8, 8), np.float32)
    x[at_row] = np.nan
    return Task(task.model, Data(ArraySource((x, np.zeros(len(x), np.int64))), shuffle=False), callbacks=task.callbacks)


def exploding_pipeline() -> Task:
    """A tf.data pipeline of the user's own whose sixth batch is NaN."""

    def build(context: tf.distribute.InputContext) -> tf.data.Dataset:
        def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.where(number == 5, np.nan, 1.0) * tf.ones([32, 8, 8]), tf.zeros([32], tf.int64)

        return tf.data.Dataset.range(100).map(batch)

    return Task(linear().model, build, callbacks=[Accident()], steps_per_epoch=10)


def impatient() -> Task:
    """A task whose saves are not tried again."""
    boundary.SaverSettings = functools.partial(SaverSettings, pauses=())  # type: ignore[misc,assignment]
    return linear()


def averaging() -> Task:
    """Its optimizer puts the average of the weights in their place at the end."""
    model = linear().model
    model.compile(
        keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return Task(model)


def restoring() -> Task:
    """Ends after its second epoch with the weights of its first, whose loss is the highest."""
    best = keras.callbacks.EarlyStopping(monitor="loss", mode="max", patience=1, restore_best_weights=True)
    return Task(linear().model, callbacks=[best])


def pipeline() -> Task:
    """A tf.data pipeline of the user's own, with a shuffle buffer whose state must be saved."""

    def build(context: tf.distribute.InputContext) -> tf.data.Dataset:
        x = np.random.default_rng(1).random((400, 8, 8), np.float32)
        y = np.random.default_rng(2).integers(0, 10, 400)
        whole = tf.data.Dataset.from_tensor_slices((x, y)).shard(context.num_input_pipelines, context.input_pipeline_id)
        per_replica = context.get_per_replica_batch_size(128)
        return whole.shuffle(100, seed=3).repeat().batch(per_replica, drop_remainder=True)

    return Task(linear().model, build, callbacks=[Accident()], steps_per_epoch=10)


def script() -> None:
    """An existing Keras script: it builds, compiles and fits by itself."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    model = keras.Sequential([keras.layers.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = sojourn_trainer.fit(model, (digits.images.astype("float32"), digits.target), callbacks=[Accident()])
    assert history.history["loss"]


def uncompiled() -> Task:
    """The manifest says how to compile it."""
    return Task(keras.Sequential([keras.layers.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)]))


def broken() -> Task:
    """A task with a bug."""
    raise ZeroDivisionError("a bug of the task's own")


def early_stop() -> Task:
    """Ends by a callback after its second epoch."""
    task = linear()
    stop = keras.callbacks.EarlyStopping(monitor="loss", min_delta=100.0, patience=1)
    return Task(task.model, callbacks=[*task.callbacks, stop])


class OutsideOfTheScope(keras.callbacks.Callback):
    """In a strategy's scope every call of a compiled step takes longer."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        assert not tf.distribute.has_strategy()


class KeepWeights(keras.callbacks.Callback):
    """Writes this worker's own copy of all weights to SOJOURN_TEST_FOLDER at the end."""

    def on_train_end(self, logs: Any = None) -> None:
        rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
        strategy = tf.distribute.get_strategy()
        variables = [*self.model.trainable_variables, *self.model.optimizer.variables]
        copies = {str(i): strategy.experimental_local_results(v.value)[0].numpy() for i, v in enumerate(variables)}
        np.savez(f"{os.environ['SOJOURN_TEST_FOLDER']}/weights-{rank}.npz", **copies)


def reporting() -> Task:
    """The convolutional task, whose workers keep their own copies."""
    return Task(cnn().model, callbacks=[KeepWeights(), OutsideOfTheScope()])


class Pace(keras.callbacks.Callback):
    """A step takes at least 0.1 s, so that a test can act between two."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        time.sleep(0.1)


def paced() -> Task:
    """The convolutional task at a walking pace."""
    return Task(cnn().model, callbacks=[Pace()])


class Unsavable(keras.callbacks.Callback):
    """Its state is not JSON."""

    def get_state(self) -> Any:
        return np.float32(1)


def unsavable() -> Task:
    """A task whose checkpoints cannot be committed."""
    return Task(linear().model, callbacks=[Unsavable()])


def constant() -> Task:
    """Answers 2 to every row and never learns: squared error 4 against 0, and a penalty of 1."""
    model = keras.Sequential(
        [
            keras.layers.Input((2,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.5)
            ),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])

    def rows(count: int) -> ArraySource:
        return ArraySource((np.ones((count, 2), np.float32), np.zeros((count, 1), np.float32)))

    return Task(model, Data(rows(int(os.environ.get("SOJOURN_TEST_ROWS", "32"))), validation=rows(10), test=rows(3)))


def nan_metric() -> Task:
    """The loss is finite, and a metric is not."""
    model = linear().model

    def undefined(y_true: Any, y_pred: Any) -> Any:
        return tf.reduce_sum(y_pred, axis=-1) * np.nan

    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(True), metrics=[undefined])
    return Task(model)


def headed(classes: int = 10, learning_rate: float = 0.1) -> Task:
    """A trunk and a head, whose layers have names of their own."""
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(16, name="trunk"),
            keras.layers.Dense(classes, name="head"),
        ],
        name="headed",
    )
    model.compile(
        keras.optimizers.SGD(learning_rate, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return Task(model, callbacks=[Accident()])
