"""Puts in front of a model what `spec.data` did to its inputs, so that an export takes them as the data set has them.

All of it is stock Keras. Filling and clipping are operations, for which .h5 has no form; scaling is a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sojourn.errors import InvalidInput
from sojourn_serving.export.interface import Inputs

Steps = Mapping[str, np.ndarray]
"""Of one input: arrays of a row's shape by name, of fill, low and high, shift and scale; see the trainer's `Steps`."""


def by_input(stored: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The stored arrays, `<input>/<step>`, by input and step."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, array in stored.items():
        name, _, step = key.rpartition("/")
        found.setdefault(name, {})[step] = array
    return found


def with_preparation(model: Any, inputs: Inputs, preparation: Mapping[str, Steps]) -> Any:
    """A functional model of the same layers that prepares its inputs first; they have the same names and shapes.

    Args:
        model: built, with its weights.
        inputs: of the model.
        preparation: steps by input; where the names are others, in the same order.

    Raises:
        InvalidInput: the model does not have the inputs that were prepared.
    """
    import keras

    steps = list(preparation.values())
    names = [tensor.name for tensor in inputs.tensors]
    if set(preparation) == set(names):
        steps = [preparation[name] for name in names]
    if len(steps) != len(names):
        raise InvalidInput(
            f"the run prepared {len(steps)} inputs ({', '.join(preparation)}), and the model has"
            f" {', '.join(names)}: what was done to each cannot become part of the export",
            hint="Give the inputs of the model and of the data the same names.",
        )
    given = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name) for tensor in inputs.tensors]
    prepared = inputs.pack([_prepared(x, its) for x, its in zip(given, steps, strict=True)])
    return keras.Model(inputs.pack(given), _outputs(model, prepared))


def _prepared(x: Any, steps: Steps) -> Any:
    import keras

    if "fill" in steps:
        x = keras.ops.where(keras.ops.isfinite(x), x, steps["fill"].astype(np.float32))
    if "low" in steps:
        bounded = keras.ops.maximum(x, steps["low"].astype(np.float32))
        x = keras.ops.minimum(bounded, steps["high"].astype(np.float32))
    if "shift" in steps:
        # Two layers, for a small spread of large numbers is lost when both steps become one product and one sum.
        x = keras.layers.Rescaling(1.0, (-steps["shift"].astype(np.float64)).tolist())(x)
        x = keras.layers.Rescaling((1 / steps["scale"].astype(np.float64)).tolist())(x)
    return x


def _outputs(model: Any, prepared: Any) -> Any:
    """A graph of layers is gone through one by one, so that its outputs keep the names of its own last layers."""
    import keras

    graph = model._functional if type(model) is keras.Sequential else model
    if type(graph) is not type(keras.Model(x := keras.Input((1,)), x)):
        return model(prepared)
    return graph._run_through_graph(prepared, operation_fn=lambda operation: operation)
