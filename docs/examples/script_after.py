"""Trains a classifier of handwritten digits with Keras."""

import keras
from sklearn.datasets import load_digits

from sojourn_trainer import ArraySource, Data, fit


def main() -> None:
    digits = load_digits()
    x, y = digits.images.astype("float32") / 16, digits.target
    x_train, y_train, x_val, y_val = x[:1500], y[:1500], x[1500:], y[1500:]

    model = keras.Sequential(
        [
            keras.layers.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
    history = fit(
        model,
        Data(ArraySource((x_train, y_train)), ArraySource((x_val, y_val))),
        callbacks=[stop],
    )
    print(max(history.history["val_accuracy"]))


if __name__ == "__main__":
    main()
