"""A SavedModel as the server uses it. The only module of the server that touches TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sojourn.errors import InvalidInput
from sojourn_serving.server.batching import Arrays
from sojourn_serving.server.protocol.errors import RequestError
from sojourn_serving.server.protocol.signature import ModelInfo, Signature, TensorSpec


class SavedModel:
    """Signatures of a SavedModel, run with NumPy arrays. Use from one thread at a time.

    Args:
        path: the folder with saved_model.pb.
        threads: intra-op threads of this process; inter-op stays at one.

    Raises:
        InvalidInput: TensorFlow cannot load the folder, or it has no signatures.
    """

    def __init__(self, path: Path, name: str, version: int, threads: int = 1) -> None:
        import tensorflow as tf

        self._tf = tf
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        try:
            self._loaded = tf.saved_model.load(str(path))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise InvalidInput(f"cannot load the SavedModel {path}: {error}") from error
        self._functions: dict[str, Any] = dict(self._loaded.signatures)
        if not self._functions:
            raise InvalidInput(f"the SavedModel {path} has no signatures", hint="export it with a serving signature")
        self.info = ModelInfo(name, version, {key: _signature(key, f) for key, f in self._functions.items()})

    def run(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Outputs by name. Raises RequestError (400) where TensorFlow refuses the inputs' values."""
        tf = self._tf
        tensors = {name: tf.convert_to_tensor(array) for name, array in inputs.items()}
        try:
            outputs = self._functions[signature](**tensors)
        except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError) as error:
            raise RequestError(f"the model refuses these inputs: {error.message.splitlines()[0]:.300}") from error
        except tf.errors.ResourceExhaustedError as error:
            raise RequestError(f"the model ran out of memory: {error.message.splitlines()[0]:.300}", 503) from error
        return {name: outputs[name].numpy() for name in sorted(outputs)}


def _signature(name: str, function: Any) -> Signature:
    def specs(structure: dict[str, Any]) -> tuple[TensorSpec, ...]:
        found = []
        for key, spec in sorted(structure.items()):
            shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
            found.append(TensorSpec(key, spec.dtype.name, shape))
        return tuple(found)

    return Signature(name, specs(function.structured_input_signature[1]), specs(function.structured_outputs))
