"""What both sides of benchmarks/migration.py train, and the script that a person would write around it.

Every step leaves its time in a file of the claim `marks`, so that the last before and the first after are known.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

import keras

MARKS = Path("/marks/steps")
BATCH = 32
SAVE_SECONDS = 20.0


def mark() -> None:
    """A step has ended."""
    with MARKS.open("a") as file:
        file.write(f"{time.time()}\n")


class Marks(keras.callbacks.Callback):
    """Marks the steps of our loop."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """See keras."""
        mark()


def network(megabytes: int) -> keras.Model:
    """Dense layers whose weights have this size together with Adam's two slots."""
    width = int((megabytes * 1e6 / 4 / 3) ** 0.5)
    layers = [keras.layers.Flatten(), keras.layers.Dense(width, "relu"), keras.layers.Dense(width, "relu")]
    return keras.Sequential([keras.Input((8, 8)), *layers, keras.layers.Dense(10)])


def build(megabytes: int = 300) -> Any:
    """Our task."""
    from sojourn_trainer import Task

    model = network(megabytes)
    model.compile(optimizer=keras.optimizers.Adam(1e-5), loss=_loss())
    return Task(model, callbacks=[Marks()])


def plain(megabytes: int) -> None:
    """The same training with CheckpointManager: saves now and then, and once more at SIGTERM, then ends."""
    import tensorflow as tf
    from sklearn.datasets import load_digits

    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    digits = load_digits()
    data = tf.data.Dataset.from_tensor_slices((digits.images.astype("float32") / 16, digits.target))
    batches = iter(data.shuffle(2000, seed=7).repeat().batch(BATCH))
    model, optimizer, loss = network(megabytes), keras.optimizers.Adam(1e-5), _loss()
    optimizer.build(model.trainable_variables)
    weights = [variable.value for variable in model.variables]
    slots = [variable.value for variable in optimizer.variables]
    # Keras 3 objects do not go into a Checkpoint by themselves; their variables do.
    checkpoint = tf.train.Checkpoint(weights=weights, slots=slots)
    manager = tf.train.CheckpointManager(checkpoint, "/store", max_to_keep=1)
    manager.restore_or_initialize()

    @tf.function
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(value, model.trainable_variables), model.trainable_variables, strict=True)
        )
        return value

    saved = time.monotonic()
    while not told:
        float(step(*next(batches)))
        mark()
        if time.monotonic() - saved > SAVE_SECONDS:
            manager.save()
            saved = time.monotonic()
    manager.save()


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


if __name__ == "__main__":
    plain(int(sys.argv[1]))
