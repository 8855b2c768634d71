"""TensorFlow Serving's REST protocol (https://www.tensorflow.org/tfx/serving/api_rest): predict, status, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sojourn_serving.server.protocol import encode
from sojourn_serving.server.protocol.decode import json_name, load_object, to_array
from sojourn_serving.server.protocol.errors import RequestError, listing, nearest
from sojourn_serving.server.protocol.signature import ModelInfo, Query, Signature, TensorSpec

_FIELDS = ("signature_name", "instances", "inputs")


@dataclass(frozen=True, slots=True)
class Predict:
    """A decoded :predict request. `rows` tells whether it came in row form, which the answer follows."""

    query: Query
    rows: bool


def parse(body: bytes, model: ModelInfo) -> Predict:
    """Decode the body of a :predict request. Raises RequestError."""
    request = load_object(body)
    for field in request:
        if field not in _FIELDS:
            raise RequestError(f"unknown field {field!r}{nearest(field, _FIELDS)}; expected {listing(_FIELDS)}")
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(f"signature_name: expected a string, got {json_name(name)}")
    signature = model.signature(name)
    if ("instances" in request) == ("inputs" in request):
        raise RequestError("expected exactly one of 'instances' (row form) and 'inputs' (column form)")
    if "instances" in request:
        return Predict(Query(signature, _rows(request["instances"], signature)), rows=True)
    return Predict(Query(signature, _columns(request["inputs"], signature)), rows=False)


def _named(value: object) -> bool:
    return isinstance(value, dict) and value.keys() != {"b64"}


def _rows(instances: object, signature: Signature) -> dict[str, np.ndarray]:
    if not isinstance(instances, list):
        raise RequestError(f"instances: expected a list with one entry per row, got {json_name(instances)}")
    if not instances:
        raise RequestError("instances: the list is empty; expected at least one row")
    for spec in signature.inputs:
        if spec.shape == ():
            raise RequestError(f"input {spec.name!r} is a scalar, which has no rows; send 'inputs' (column form)")
    if not _named(instances[0]):
        spec = _only_input(signature, "instances")
        return {spec.name: to_array(instances, spec, f"instances (input {spec.name!r})")}
    for index, row in enumerate(instances):
        if not isinstance(row, dict):
            raise RequestError(f"instances[{index}]: expected an object as in the first row, got {json_name(row)}")
        signature.check_names(row, f"instances[{index}]")
    return {
        spec.name: to_array([row[spec.name] for row in instances], spec, f"instances (input {spec.name!r})")
        for spec in signature.inputs
    }


def _columns(inputs: object, signature: Signature) -> dict[str, np.ndarray]:
    if not isinstance(inputs, dict) or not _named(inputs):
        spec = _only_input(signature, "inputs")
        return {spec.name: to_array(inputs, spec, f"inputs (input {spec.name!r})")}
    signature.check_names(inputs, "inputs")
    return {spec.name: to_array(inputs[spec.name], spec, f"inputs.{spec.name}") for spec in signature.inputs}


def _only_input(signature: Signature, where: str) -> TensorSpec:
    if len(signature.inputs) != 1:
        names = listing(spec.name for spec in signature.inputs)
        raise RequestError(
            f"{where}: signature {signature.name!r} has {len(signature.inputs)} inputs; name them: {names}"
        )
    return signature.inputs[0]


def render(predict: Predict, outputs: Mapping[str, np.ndarray]) -> bytes:
    """The answer's body, in the form of the question; a lone output is not named.

    Raises:
        RequestError: row form was asked for, and the outputs do not have one row per instance.
    """
    columns = {name: encode.jsonable(name, array, as_base64=name.endswith("_bytes")) for name, array in outputs.items()}
    dumps = encode.dumps if all(map(encode.finite, outputs.values())) else encode.dumps_with_nan
    if not predict.rows:
        return dumps({"outputs": columns if len(columns) != 1 else next(iter(columns.values()))})
    rows = {array.shape[:1] for array in outputs.values()}
    if len(rows) != 1 or rows == {()}:
        shapes = {name: list(array.shape) for name, array in outputs.items()}
        raise RequestError(f"the outputs have no common first axis ({shapes}); send 'inputs' (column form)")
    if len(columns) == 1:
        return dumps({"predictions": next(iter(columns.values()))})
    count = rows.pop()[0]
    return dumps({"predictions": [{name: column[i] for name, column in columns.items()} for i in range(count)]})


def status(model: ModelInfo, *, available: bool) -> dict[str, Any]:
    """GetModelStatusResponse. A server that drains answers UNLOADING."""
    state = "AVAILABLE" if available else "UNLOADING"
    entry = {"version": str(model.version), "state": state, "status": {"error_code": "OK", "error_message": ""}}
    return {"model_version_status": [entry]}


def metadata(model: ModelInfo) -> dict[str, Any]:
    """GetModelMetadataResponse."""

    def tensor(spec: TensorSpec) -> dict[str, Any]:
        dims = [{"size": str(size), "name": ""} for size in spec.sizes]
        shape = {"dim": dims, "unknown_rank": spec.shape is None}
        return {"dtype": spec.element.v1, "tensor_shape": shape, "name": spec.name}

    signatures = {
        name: {
            "inputs": {spec.name: tensor(spec) for spec in signature.inputs},
            "outputs": {spec.name: tensor(spec) for spec in signature.outputs},
            "method_name": "tensorflow/serving/predict",
        }
        for name, signature in model.signatures.items()
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(model.version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }
