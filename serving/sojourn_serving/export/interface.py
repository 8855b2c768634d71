"""What a Keras model takes and gives, under names that do not depend on how many layers were made before it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sojourn.errors import InvalidInput
from sojourn_serving.export.record import Tensor

_AUTOMATIC_INPUT = re.compile(r"(input_layer|keras_tensor|input)(_\d+)?")
_POSITIONAL = re.compile(r"x\d+")

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Inputs:
    """A model's inputs in order; `form` is "single", "list" or "dict", `keys` are the dict's own."""

    tensors: tuple[Tensor, ...]
    form: str
    keys: tuple[str, ...] = ()

    def pack(self, values: Sequence[Any]) -> Any:
        """Values, one per input in order, in the structure that the model is called with."""
        if self.form == "dict":
            return dict(zip(self.keys, values, strict=True))
        return values[0] if self.form == "single" else list(values)


def inputs_of(model: Any, golden: Arrays | None) -> Inputs:
    """The inputs of a model that declares them, else those that the golden inputs show, with an open batch axis.

    Raises:
        InvalidInput: the model declares none and there are no golden inputs, or its inputs are nested.
    """
    declared = getattr(model, "_inputs_struct", None)
    if declared is None:
        declared = getattr(getattr(model, "_functional", None), "_inputs_struct", None)
    if declared is not None:
        return _declared(declared)
    if not golden:
        raise InvalidInput(
            f"the model {model.name!r} does not declare its inputs, and the run has recorded none",
            hint="Build it from keras.Input, or call it once on a batch in the task.",
        )
    names = list(golden)
    tensors = [Tensor(name, _dtype(golden[name]), (None, *golden[name].shape[1:])) for name in names]
    if all(map(_POSITIONAL.fullmatch, names)):
        plain = ["inputs"] if len(names) == 1 else [f"input_{i}" for i in range(len(names))]
        renamed = tuple(Tensor(name, t.dtype, t.shape) for name, t in zip(plain, tensors, strict=True))
        return Inputs(renamed, "single" if len(names) == 1 else "list")
    return Inputs(tuple(tensors), "dict", tuple(names))


def _declared(structure: Any) -> Inputs:
    if isinstance(structure, dict):
        keys = tuple(sorted(structure))
        return Inputs(tuple(_tensor(key, structure[key]) for key in keys), "dict", keys)
    if isinstance(structure, list | tuple):
        named = [(_given(item.name) or f"input_{i}", item) for i, item in enumerate(structure)]
        return Inputs(tuple(_tensor(name, item) for name, item in named), "list")
    return Inputs((_tensor(_given(structure.name) or "inputs", structure),), "single")


def _given(name: str) -> str:
    return "" if _AUTOMATIC_INPUT.fullmatch(name) else name


def _tensor(name: str, symbolic: Any) -> Tensor:
    if not hasattr(symbolic, "shape"):
        raise InvalidInput(f"input {name!r} of the model is nested; only a flat list or dict of inputs can be exported")
    return Tensor(name, str(symbolic.dtype), None if symbolic.shape is None else tuple(symbolic.shape))


def _dtype(array: np.ndarray) -> str:
    if array.dtype.kind in "USO":
        return "string"
    return "float32" if array.dtype == np.float64 else array.dtype.name


def name_outputs(model: Any, outputs: Any) -> dict[str, Any]:
    """The outputs of a call, by name: a dict's keys, else the names that the task gave to the last layers.

    Raises:
        InvalidInput: nested outputs.
    """
    if isinstance(outputs, dict):
        named = {key: outputs[key] for key in sorted(outputs)}
    elif isinstance(outputs, list | tuple):
        names = _last_layers(model)
        if len(names) != len(outputs):
            names = [""] * len(outputs)
        named = {name or f"output_{i}": value for i, (name, value) in enumerate(zip(names, outputs, strict=True))}
    else:
        names = _last_layers(model)
        named = {(names[0] if len(names) == 1 else "") or "outputs": outputs}
    for name, value in named.items():
        if not hasattr(value, "shape"):
            raise InvalidInput(f"output {name!r} of the model is nested; only a flat list or dict can be exported")
    return named


def _last_layers(model: Any) -> list[str]:
    """Names of the layers that give the outputs, "" for those that Keras named itself."""
    if hasattr(model, "output_names"):
        by_name = {operation.name: operation for operation in model.operations}
        last = [by_name.get(name) for name in model.output_names]
    else:
        last = [model.layers[-1]] if type(model).__name__ == "Sequential" and model.layers else []
    return ["" if layer is None or _automatic(layer) else layer.name for layer in last]


def _automatic(layer: Any) -> bool:
    plain = re.sub(r"\W+", "", type(layer).__name__)
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", plain)).lower()
    return re.fullmatch(rf"{re.escape(snake)}(_\d+)?", layer.name) is not None


def golden_inputs(inputs: Inputs, recorded: Arrays | None, rows: int) -> dict[str, np.ndarray]:
    """One array per input, with its dtype: the recorded ones by name or order, else made up from a fixed seed.

    Raises:
        InvalidInput: what was recorded does not fit the model.
    """
    generator = np.random.default_rng(0)
    names = [tensor.name for tensor in inputs.tensors]
    if recorded and set(recorded) != set(names):
        recorded = dict(zip(names, recorded.values(), strict=False))
    found = {}
    for tensor in inputs.tensors:
        if recorded is None:
            found[tensor.name] = _made_up(tensor, rows, generator)
            continue
        array = recorded.get(tensor.name)
        if array is None or not _fits(tensor, array.shape):
            got = "missing" if array is None else f"of shape {list(array.shape)}"
            raise InvalidInput(f"input {tensor.name!r} {tensor.shape} is {got} in the run's golden inputs")
        found[tensor.name] = _cast(tensor, _with_rows(tensor, array))
    return found


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    if tensor.shape is None:
        return True
    pairs = list(zip(tensor.shape, shape, strict=False))[1:]
    return len(tensor.shape) == len(shape) and all(want is None or want == got for want, got in pairs)


def _with_rows(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    fixed = tensor.shape[0] if tensor.shape else None
    return array if fixed is None else np.resize(array, (fixed, *array.shape[1:]))


def _cast(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    if tensor.dtype == "string":
        return array if array.dtype.kind == "S" else np.char.encode(array.astype(str), "utf-8")
    return array.astype(stored_dtype(tensor.dtype))


def _made_up(tensor: Tensor, rows: int, generator: np.random.Generator) -> np.ndarray:
    sizes = tensor.shape or (None,)
    shape = tuple(rows if axis == 0 and size is None else size or 1 for axis, size in enumerate(sizes))
    if tensor.dtype == "string":
        return np.full(shape, b"")
    kind = np.dtype(stored_dtype(tensor.dtype))
    return generator.random(shape).astype(kind) if kind.kind == "f" else np.zeros(shape, kind)


def stored_dtype(name: str) -> str:
    """The dtype in which golden.npz holds values of `name`: NumPy's file format knows no bfloat16."""
    return "float32" if name == "bfloat16" else name
