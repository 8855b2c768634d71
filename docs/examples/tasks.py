"""The tasks of docs/guides/write-a-task.md, which quotes them. tests/integration/trainer/test_guide.py trains each."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from sojourn_trainer import ArraySource, Data, FunctionSource, Task


def classifier(hidden: int = 32) -> keras.Model:
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def with_data() -> tuple[keras.Model, tuple[np.ndarray, np.ndarray]]:
    digits = load_digits()
    return classifier(), (digits.images.astype("float32"), digits.target)


def whole_task() -> Task:
    digits = load_digits()
    x, y = digits.images.astype("float32"), digits.target
    data = Data(train=ArraySource((x[:1500], y[:1500])), validation=ArraySource((x[1500:], y[1500:])))
    return Task(classifier(), data, callbacks=[LossCurve()])


class LossCurve(keras.callbacks.Callback):
    """Keeps the loss of every epoch, over interruptions."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.losses.append(float((logs or {})["loss"]))

    def get_state(self) -> dict[str, Any]:
        return {"losses": self.losses}

    def set_state(self, state: dict[str, Any]) -> None:
        self.losses = list(state["losses"])


def from_files(images: str, labels: str) -> Task:
    x, y = np.load(images, mmap_mode="r"), np.load(labels)

    def read(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x[rows].astype(np.float32) / 16, y[rows]

    return Task(classifier(), FunctionSource(len(y), read))


def from_pipeline(global_batch: int) -> Task:
    digits = load_digits()

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        rows = tf.data.Dataset.from_tensor_slices((digits.images.astype("float32"), digits.target))
        mine = rows.shard(context.num_input_pipelines, context.input_pipeline_id)
        batch = context.get_per_replica_batch_size(global_batch)
        return mine.shuffle(200, seed=7).repeat().batch(batch, drop_remainder=True)

    return Task(classifier(), pipeline, steps_per_epoch=len(digits.target) // global_batch)


def clipped_step(model: keras.Model, data: Any) -> dict[str, Any]:
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        predicted = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=predicted, sample_weight=weight)
    weights = model.trainable_weights
    gradients, norm = tf.clip_by_global_norm(tape.gradient(loss, weights), 1.0)
    model.optimizer.apply_gradients(zip(gradients, weights, strict=True))
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    model.metrics[0].update_state(loss * replicas)  # Keras has divided the loss by the number of replicas
    return model.compute_metrics(x, y, predicted, sample_weight=weight) | {"norm": norm}


def with_a_step() -> Task:
    return Task(classifier(), train_step=clipped_step)
