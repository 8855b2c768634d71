"""A small convolutional network with batch normalisation and a training step of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from sojourn_trainer.task import Task
from sojourn_trainer.tasks.metrics import of_classes


def build(
    filters: int = 16,
    classes: int = 10,
    learning_rate: float = 0.002,
    decay_steps: int = 1000,
    size: int = 8,
    metrics: Sequence[str] = (),
) -> Task:
    """Two convolutions with BatchNormalization, max pooling, Dense; Adam with cosine decay.

    Args:
        filters: of the first convolution; the second has twice as many.
        classes: number of classes; labels are integers below it.
        learning_rate: at the start; it decays to 0 over `decay_steps` steps.
        decay_steps: length of the schedule.
        size: height and width of the images, float inputs of shape [batch, size, size].
        metrics: of precision, recall and f1, those wanted beside accuracy, each a mean over the classes.
    """
    image = keras.layers.Input((size, size), name="image")
    x = keras.layers.Reshape((size, size, 1))(image)
    for width in (filters, 2 * filters):
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        # Keras' default momentum of 0.99 needs some 500 steps to forget its start, which is the whole of a short run.
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation("relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(0.1)(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    model = keras.Model(image, outputs)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=of_classes(metrics),
    )
    return Task(model, train_step=train_step)


def train_step(model: keras.Model, data: Any) -> dict[str, tf.Tensor]:
    """One step as a script would write it by hand: gradients clipped to a global norm of 1.

    Args:
        model: compiled; its optimizer reduces the gradients over all replicas.
        data: (x, y) or, where the last batch of an epoch holds padding, (x, y, sample_weight).
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        predicted = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=predicted, sample_weight=weight)
    weights = model.trainable_weights
    gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, weights), 1.0)
    model.optimizer.apply_gradients(zip(gradients, weights, strict=True))
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    model.metrics[0].update_state(loss * replicas)  # Keras divides the loss by the number of replicas
    return model.compute_metrics(x, y, predicted, sample_weight=weight)
