"""Arrays as the two prediction protocols write them, and back. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sojourn.errors import InvalidInput

Array = npt.NDArray[Any]
Inputs = Mapping[str, npt.ArrayLike] | npt.ArrayLike
"""Arrays by the names of the model's inputs, or one array for a model with one input."""

_V1 = {
    "DT_HALF": ("FP16", "float16"),
    "DT_FLOAT": ("FP32", "float32"),
    "DT_DOUBLE": ("FP64", "float64"),
    "DT_BFLOAT16": ("BF16", "float32"),
    "DT_BOOL": ("BOOL", "bool"),
    "DT_STRING": ("BYTES", "object"),
    **{
        f"DT_{sign}INT{bits}": (f"{sign}INT{bits}", f"{sign}int{bits}".lower())
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
}
_V2 = dict(_V1.values())


@dataclass(frozen=True, slots=True)
class ServedTensor:
    """An input or output as the server's metadata describes it; -1 is an open size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model's default (or chosen) signature."""

    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]


def model_from_v1(document: Mapping[str, Any], signature: str) -> ServedModel:
    """From TensorFlow Serving's metadata. Raises InvalidInput if there is no such signature."""
    signatures = document["metadata"]["signature_def"]["signature_def"]
    if signature not in signatures:
        raise InvalidInput(f"the model has no signature {signature!r}; it has {', '.join(sorted(signatures))}")

    def tensors(described: Mapping[str, Any]) -> tuple[ServedTensor, ...]:
        return tuple(
            ServedTensor(
                name,
                _V1.get(tensor["dtype"], (tensor["dtype"], ""))[0],
                tuple(int(dim["size"]) for dim in tensor["tensor_shape"].get("dim", ())),
            )
            for name, tensor in sorted(described.items())
        )

    return ServedModel(tensors(signatures[signature]["inputs"]), tensors(signatures[signature]["outputs"]))


def model_from_v2(document: Mapping[str, Any]) -> ServedModel:
    """From the Open Inference Protocol's model metadata."""

    def tensors(described: Sequence[Mapping[str, Any]]) -> tuple[ServedTensor, ...]:
        return tuple(ServedTensor(t["name"], t["datatype"], tuple(map(int, t["shape"]))) for t in described)

    return ServedModel(tensors(document["inputs"]), tensors(document["outputs"]))


def to_arrays(inputs: Inputs, model: ServedModel) -> dict[str, Array]:
    """The inputs by name, with the dtypes that the model takes.

    Raises:
        InvalidInput: names that the model does not have, or values that cannot be its dtype.
    """
    if not isinstance(inputs, Mapping):
        if len(model.inputs) != 1:
            names = ", ".join(tensor.name for tensor in model.inputs)
            raise InvalidInput(f"the model has {len(model.inputs)} inputs; give arrays by their names: {names}")
        inputs = {model.inputs[0].name: inputs}
    wanted = {tensor.name: tensor for tensor in model.inputs}
    if inputs.keys() != wanted.keys():
        given, names = ", ".join(sorted(inputs)) or "nothing", ", ".join(wanted)
        raise InvalidInput(f"the model's inputs are {names}; given are {given}")
    return {name: _array(tensor, inputs[name]) for name, tensor in wanted.items()}


def _array(tensor: ServedTensor, value: npt.ArrayLike) -> Array:
    try:
        if tensor.datatype == "BYTES":
            return np.asarray(value, dtype=object)
        array = np.asarray(value)
        if array.dtype.kind in "iu" and tensor.datatype in _V2 and np.dtype(_V2[tensor.datatype]).kind in "iu":
            limits = np.iinfo(_V2[tensor.datatype])
            if array.size and not (limits.min <= array.min() and array.max() <= limits.max):
                raise ValueError(f"values from {array.min()} to {array.max()} do not fit")
        numbers = array.astype(
            _V2.get(tensor.datatype, array.dtype.name), casting="same_kind" if array.size else "unsafe"
        )
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"input {tensor.name!r} must be {tensor.datatype} {list(tensor.shape)}: {error}") from error
    if not np.isfinite(numbers).all():
        raise InvalidInput(f"input {tensor.name!r} has NaN or infinite values, which JSON cannot carry")
    return numbers


def v1_body(arrays: Mapping[str, Array], signature: str) -> bytes:
    """A :predict request in column form."""
    columns = {name: _nested(array) for name, array in arrays.items()}
    return json.dumps({"signature_name": signature, "inputs": columns}, separators=(",", ":")).encode()


def v2_body(arrays: Mapping[str, Array], model: ServedModel) -> bytes:
    """An infer request with flat data."""
    tensors = [
        {
            "name": tensor.name,
            "shape": list(arrays[tensor.name].shape),
            "datatype": tensor.datatype,
            "data": _nested(arrays[tensor.name].reshape(-1)),
        }
        for tensor in model.inputs
    ]
    return json.dumps({"inputs": tensors}, separators=(",", ":")).encode()


def _nested(array: Array) -> Any:
    def string(value: Any) -> Any:
        if isinstance(value, list):
            return [string(item) for item in value]
        return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else str(value)

    return string(array.tolist()) if array.dtype == object else array.tolist()


def from_v1(document: Mapping[str, Any], model: ServedModel) -> dict[str, Array]:
    """Outputs of a column-form answer."""
    outputs = document["outputs"]
    if len(model.outputs) == 1:
        outputs = {model.outputs[0].name: outputs}
    return {tensor.name: _parsed(tensor.datatype, outputs[tensor.name]) for tensor in model.outputs}


def from_v2(document: Mapping[str, Any]) -> dict[str, Array]:
    """Outputs of an infer answer."""
    found = {}
    for tensor in document["outputs"]:
        data = tensor["data"]
        if (tensor.get("parameters") or {}).get("content_type") == "base64":
            data = [base64.b64decode(item) for item in data]
        found[tensor["name"]] = _parsed(tensor["datatype"], data).reshape(tensor["shape"])
    return found


def _parsed(datatype: str, value: Any) -> Array:
    if datatype != "BYTES":
        # NaN comes as null from a V2 server, and None is a float only once it is asked to be one.
        return (
            np.array(value, dtype=np.float64).astype(_V2[datatype])
            if datatype.startswith(("FP", "BF"))
            else np.array(value, dtype=_V2.get(datatype))
        )
    array = np.array(value, dtype=object)
    decoded = [base64.b64decode(item["b64"]) if isinstance(item, dict) else item for item in array.reshape(-1)]
    result = np.empty(len(decoded), dtype=object)
    result[:] = decoded
    return result.reshape(array.shape)
