"""What `spec.data` does to the inputs is part of the exported model: it answers to rows as the data set has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import LocalRun, job
from sklearn.datasets import load_breast_cancer

from sojourn.store.posix import PosixStore
from sojourn_serving.export.formats import Format
from sojourn_serving.export.interface import inputs_of, name_outputs
from sojourn_serving.export.keras_files import refuse_custom, write_keras_file
from sojourn_serving.export.preparation import with_preparation
from sojourn_serving.export.run import export
from sojourn_trainer.data.prepare import Preparation, Steps
from sojourn_trainer.loop.golden import named_steps
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow


def test_a_run_is_exported_with_what_was_done_to_its_rows(tmp_path: Path) -> None:
    import tensorflow as tf

    rows = load_breast_cancer()
    x = rows.data.astype(np.float32)
    x[::7, 3] = np.nan
    x[5, 0] = 1e6
    np.savez(tmp_path / "a.npz", x=x, y=rows.target)
    store = PosixStore(tmp_path / "store")
    manifest = job(
        name="prepared",
        task__entrypoint="sojourn_trainer.tasks.logistic:build",
        task__args={"decay_steps": 40},
        data={
            "source": {"npz": {"path": str(tmp_path / "a.npz")}},
            "fillMissing": {"median": {}},
            "outliers": {"quantile": {"lower": 0.02, "upper": 0.98}},
            "normalize": "Standard",
            "split": {"test": 0.3},
        },
        training={"globalBatchSize": 64, "steps": 40, "seed": 7},
        checkpoint__every={"steps": 1000},
    )
    run = LocalRun(store, manifest)
    result = run.attempt().result
    assert result.outcome is Outcome.COMPLETED, result.failure

    export(store, "prepared", [Format.SAVED_MODEL, Format.KERAS], cache=tmp_path / "cache")

    folder = store.root / run.log.prefix / "export" / "1"
    with np.load(folder / "golden.npz") as golden:
        shown = golden["inputs/features"]
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"]
    right = [row for row in shown if any(np.array_equal(row, other, equal_nan=True) for other in x)]
    assert len(right) == len(shown) == 16  # as the file has them
    probability = answer(features=tf.constant(x))["probability"].numpy()[:, 0]
    assert np.isfinite(probability).all()
    # Of all rows: those held back alone are as good, and training alone does not give this without the same scale.
    assert ((probability > 0.5) == rows.target).mean() > result.metrics["test_accuracy"] - 0.02 > 0.9


def two_inputs() -> Any:
    import keras

    left, right = keras.Input((3,), name="left"), keras.Input((2, 2), name="right")
    joined = keras.layers.Concatenate()([left, keras.layers.Flatten()(right)])
    outputs = {"scores": keras.layers.Dense(2, name="scores")(joined), "joined": joined}
    return keras.Model({"left": left, "right": right}, outputs)


def in_a_row() -> Any:
    import keras

    layers = [keras.Input((3,), name="left"), keras.layers.BatchNormalization(), keras.layers.Dense(2, name="scores")]
    return keras.Sequential(layers)


def steps(shape: tuple[int, ...], *, all_of_them: bool) -> Steps:
    random = np.random.default_rng(len(shape))
    low = random.normal(size=shape) - 1
    more = {"fill": random.normal(size=shape), "low": low, "high": low + 2} if all_of_them else {}
    return Steps(**more, shift=random.normal(size=shape), scale=random.uniform(0.5, 2.0, size=shape))


@pytest.mark.parametrize("all_of_them", [True, False], ids=["filled, clipped, scaled", "scaled"])
@pytest.mark.parametrize("build", [two_inputs, in_a_row])
def test_the_exported_layers_do_what_was_done_to_the_rows(build: Any, all_of_them: bool, tmp_path: Path) -> None:
    import keras

    model = build()
    shapes = {"left": (3,), "right": (2, 2)}
    inputs = inputs_of(model, None)
    names = [tensor.name for tensor in inputs.tensors]
    preparation = {name: steps(shapes[name], all_of_them=all_of_them) for name in names}
    rows = {name: np.random.default_rng(9).normal(size=(5, *shapes[name])).astype(np.float32) for name in names}
    if all_of_them:
        rows["left"][0, 1] = np.nan
    prepared = {name: preparation[name](rows[name]) for name in names}
    expected = name_outputs(model, model(inputs.pack(list(prepared.values()))))

    stored = named_steps(Preparation(preparation))
    by_name: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
    for key, array in stored.items():
        name, step = key.split("/")
        by_name[name][step] = array
    whole = with_preparation(model, inputs, by_name)

    assert inputs_of(whole, None) == inputs
    loaded = {"as it is": whole}
    files = ["model.keras"] if all_of_them else ["model.keras", "model.h5"]
    refuse_custom(whole, files)
    for file in files:
        write_keras_file(whole, tmp_path / file)
        loaded[file] = keras.models.load_model(tmp_path / file, compile=False)
    for answers in loaded.values():
        found = name_outputs(whole, answers(inputs.pack(list(rows.values()))))
        assert found.keys() == expected.keys()
        for name, value in found.items():
            np.testing.assert_allclose(value.numpy(), expected[name].numpy(), atol=1e-5)
