"""Writes a SavedModel with one signature, `serving_default`, and every variable once.

Keras' own `model.export` stores each variable twice (keras#23553): it tracks the model beside the variables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sojourn_serving.export.interface import Inputs, name_outputs


def write_saved_model(model: Any, inputs: Inputs, folder: Path) -> None:
    """Export the model's inference pass. `inputs` name the signature's arguments and fix its shapes."""
    import tensorflow as tf

    specs = [tf.TensorSpec(t.shape, t.dtype, name=t.name) for t in inputs.tensors]
    names = [tensor.name for tensor in inputs.tensors]

    def serve(**tensors: Any) -> dict[str, Any]:
        return name_outputs(model, model(inputs.pack([tensors[name] for name in names]), training=False))

    function = tf.function(serve, autograph=False)
    concrete = function.get_concrete_function(**dict(zip(names, specs, strict=True)))
    module = tf.Module()
    # Only what is reachable from the module is saved: the weights, what else the pass reads, and its lookup tables.
    weights = {id(w.value): w.value for w in model.weights} | {id(v): v for v in concrete.graph.variables}
    module.weights = list(weights.values())
    module.tables = [
        table for layer in model._flatten_layers() if (table := getattr(layer, "lookup_table", None)) is not None
    ]
    tf.saved_model.save(module, str(folder), signatures={"serving_default": concrete})
