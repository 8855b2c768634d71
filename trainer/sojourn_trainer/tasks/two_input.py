"""A network of two inputs, an image and a row of numbers about it, and real data for it: the handwritten digits."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from sojourn_trainer.task import Task
from sojourn_trainer.tasks.metrics import METRICS, of_classes


def build(
    size: int = 8,
    features: int = 24,
    classes: int = 10,
    filters: int = 16,
    units: int = 32,
    learning_rate: float = 0.01,
    decay_steps: int = 500,
) -> Task:
    """A convolution for the image, a Dense layer for the numbers, joined by a third; Adam with cosine decay.

    Inputs are a dict: "image", float [batch, size, size], and "features", float [batch, features]; both are best
    scaled (`normalize`). The model gives "probabilities", float32 [batch, classes]. Metrics: accuracy; precision,
    recall and f1 as means over the classes.

    Args:
        size: height and width of the images; even.
        features: numbers about each image.
        classes: labels are integers below it.
        filters: of the convolution.
        units: of the layer for the numbers; the one that joins both has twice as many.
        learning_rate: at the start; it decays to 0 over `decay_steps` steps.
        decay_steps: length of the schedule; make it that of the run.
    """
    layers = keras.layers
    image = layers.Input((size, size), name="image")
    row = layers.Input((features,), name="features")
    seen = layers.Reshape((size, size, 1))(image)
    seen = layers.Conv2D(filters, 3, padding="same", activation="relu")(seen)
    seen = layers.Flatten()(layers.MaxPooling2D()(seen))
    told = layers.Dense(units, activation="relu")(row)
    joined = layers.Dense(2 * units, activation="relu")(layers.Concatenate()([seen, told]))
    outputs = layers.Dense(classes, activation="softmax", name="probabilities")(joined)
    model = keras.Model({"image": image, "features": row}, outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=of_classes(METRICS),
    )
    return Task(model)


def digits() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """scikit-learn's handwritten digits for `spec.data.source.function`: ({"image", "features"}, labels).

    Returns:
        image: float32 [1797, 8, 8], ink from 0 to 16; features: float32 [1797, 24], see `derived_features`; labels:
        int64 [1797].
    """
    from sklearn.datasets import load_digits

    loaded = load_digits()
    image = loaded.images.astype(np.float32)
    return {"image": image, "features": derived_features(image)}, loaded.target.astype(np.int64)


def derived_features(image: np.ndarray) -> np.ndarray:
    """What one would measure of a drawing: ink per row and per column, its centre and spread, its symmetry.

    Args:
        image: float [rows, size, size], >= 0.

    Returns:
        float32 [rows, 2 * size + 8].
    """
    size = image.shape[1]
    place = np.arange(size, dtype=np.float64)
    rows, columns = image.sum(axis=2, dtype=np.float64), image.sum(axis=1, dtype=np.float64)
    ink = np.maximum(rows.sum(axis=1), 1e-9)

    def moments(profile: np.ndarray) -> Any:
        centre = (profile * place).sum(axis=1) / ink
        return centre, np.sqrt((profile * (place - centre[:, None]) ** 2).sum(axis=1) / ink)

    middle = image[:, size // 4 : size - size // 4, size // 4 : size - size // 4].sum(axis=(1, 2), dtype=np.float64)
    mirrored = [np.abs(image - np.flip(image, axis)).sum(axis=(1, 2), dtype=np.float64) / ink for axis in (1, 2)]
    numbers = [ink, *moments(rows), *moments(columns), middle / ink, *mirrored]
    return np.concatenate([rows, columns, np.stack(numbers, axis=1)], axis=1).astype(np.float32)
