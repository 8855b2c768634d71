"""Loads an export's files with TensorFlow alone and compares their answers to the golden inputs. A script: run it by
path with `python -I`; it imports nothing of Sojourn, so what it proves holds where Sojourn is not installed.

    python -I check.py FOLDER DESCRIPTION.json ANSWER.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

RELATIVE_TOLERANCE = 1e-4
ABSOLUTE_TOLERANCE = 1e-5
FILES = {"Keras": "model.keras", "H5": "model.h5"}

Golden = Mapping[str, np.ndarray]


def main(folder: Path, description: Path, answer: Path) -> None:
    """Write {format: largest absolute difference, or an error's text} to `answer`."""
    model = json.loads(description.read_text())
    with np.load(folder / "golden.npz", allow_pickle=False) as stored:
        golden = {key: stored[key] for key in stored.files}
    inputs = {tensor["name"]: _input(golden, tensor) for tensor in model["inputs"]}
    results: dict[str, float | str] = {}
    for name in model["formats"]:
        try:
            results[name] = compare(_call(name, folder, model, inputs), golden)
        except Exception as error:  # noqa: BLE001 - whatever keeps a file from loading is the answer
            results[name] = f"{type(error).__name__}: {error}"
    answer.write_text(json.dumps(results))


def _input(golden: Golden, tensor: Mapping[str, Any]) -> Any:
    value = tf.constant(golden[f"inputs/{tensor['name']}"])
    return value if tensor["dtype"] == "string" else tf.cast(value, tensor["dtype"])


def _call(name: str, folder: Path, model: Mapping[str, Any], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    if name == "SavedModel":
        return tf.saved_model.load(str(folder)).signatures["serving_default"](**inputs)
    loaded = tf.keras.models.load_model(folder / FILES[name], compile=False)
    values = list(inputs.values())
    packed = {"single": values[0], "list": values, "dict": dict(inputs)}[model["inputForm"]]
    outputs = loaded(packed, training=False)
    if isinstance(outputs, Mapping):
        return outputs
    flat: Sequence[Any] = outputs if isinstance(outputs, list | tuple) else [outputs]
    return dict(zip([tensor["name"] for tensor in model["outputs"]], flat, strict=True))


def compare(outputs: Mapping[str, Any], golden: Golden) -> float:
    """The largest absolute difference. Raises ValueError where an output is off by more than the tolerances."""
    expected = {key.removeprefix("outputs/"): value for key, value in golden.items() if key.startswith("outputs/")}
    if set(outputs) != set(expected):
        raise ValueError(f"the outputs are {sorted(outputs)}, expected {sorted(expected)}")
    return max(_difference(name, outputs[name].numpy(), array) for name, array in expected.items())


def _difference(name: str, got: np.ndarray, expected: np.ndarray) -> float:
    if got.dtype == object:
        if not np.array_equal(got.astype("S"), expected):
            raise ValueError(f"output {name!r} differs from the strings that were recorded")
        return 0.0
    left, right = got.astype(np.float64), expected.astype(np.float64)
    if left.shape != right.shape:
        raise ValueError(f"output {name!r} has shape {list(left.shape)}, recorded was {list(right.shape)}")
    worst = float(np.nanmax(np.abs(left - right), initial=0.0))
    if not np.allclose(left, right, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True):
        raise ValueError(f"output {name!r} differs by {worst:g} from what was recorded")
    return worst


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
