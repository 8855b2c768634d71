"""A task whose every step writes the step's number into every variable that a run has, of every kind."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras.src.random import seed_generator

from sojourn_trainer import Task

MODULUS = 251
"""Numbers are written modulo this, so that bfloat16 and float16 hold them exactly; neighbouring steps differ in it."""


def stamped() -> Task:
    """Dense, sparse, float16, bfloat16 and mixed variables, moving statistics, dropout seeds, Adam's slots, metrics."""
    inputs = keras.layers.Input((8, 8))
    flat = keras.layers.Flatten()(inputs)
    rows = keras.layers.Lambda(lambda x: keras.ops.cast(x, "int32"))(flat)
    x = keras.layers.Flatten()(keras.layers.Embedding(20_000, 8)(rows))
    x = keras.layers.Dense(256)(x)
    x = keras.layers.Dense(256, dtype="mixed_bfloat16")(x)
    x = keras.layers.Dense(256, dtype="bfloat16")(x)
    x = keras.layers.Dense(256, dtype="float16")(x)
    x = keras.layers.BatchNormalization(dtype="float32")(x)
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return Task(model, train_step=stamp)


def stamp(model: keras.Model, data: Any) -> dict[str, Any]:
    """Not a training step at all: the optimizer's count of steps goes up, and everything else becomes that number."""
    replica = tf.distribute.get_replica_context()
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    count = model.optimizer.iterations.value + 1
    everything = [*model.variables, *model.optimizer.variables, *metrics, seed_generator.global_seed_generator().state]
    unique = {id(variable): variable.value for variable in everything if variable is not model.optimizer.iterations}
    on_read = [v for v in unique.values() if v.synchronization == tf.VariableSynchronization.ON_READ]
    for variable in on_read:
        _write(variable, count)
    mirrored = [v for v in unique.values() if v.synchronization != tf.VariableSynchronization.ON_READ]

    def write(strategy: tf.distribute.Strategy, count: Any) -> None:
        for variable in mirrored:
            strategy.extended.update(variable, _write, args=(count,))
        strategy.extended.update(model.optimizer.iterations.value, lambda v, number: v.assign(number), args=(count,))

    replica.merge_call(write, args=(count,))
    return {"loss": tf.constant(0.0)}


def _write(variable: tf.Variable, count: tf.Tensor) -> None:
    if variable.shape.rank == 2 and variable.shape[0] == 20_000:  # as the gradient of an embedding does
        rows = tf.range(variable.shape[0])
        variable.scatter_update(tf.IndexedSlices(_filled(variable, count), rows))
    elif variable.dtype.is_floating:  # in place, as optimizers do; `assign` would put another buffer in its place
        variable.assign_sub(variable.read_value())
        variable.assign_add(_filled(variable, count))
    else:
        variable.assign(_filled(variable, count))


def _filled(variable: tf.Variable, count: tf.Tensor) -> tf.Tensor:
    return tf.fill(variable.shape, tf.cast(count % MODULUS, variable.dtype))
