"""The Open Inference Protocol, version 2, over REST (https://github.com/kserve/open-inference-protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sojourn_serving.server.protocol import encode
from sojourn_serving.server.protocol.decode import MAX_RANK, flatten, from_flat, json_name, load_object
from sojourn_serving.server.protocol.errors import RequestError, listing, nearest
from sojourn_serving.server.protocol.signature import ModelInfo, Query, Signature, TensorSpec

_REQUEST_FIELDS = ("id", "parameters", "inputs", "outputs")
_INPUT_FIELDS = ("name", "shape", "datatype", "parameters", "data")
_OUTPUT_FIELDS = ("name", "parameters")


@dataclass(frozen=True, slots=True)
class Infer:
    """A decoded infer request: `outputs` are the names asked for, in that order, or None for all."""

    query: Query
    id: str | None
    outputs: tuple[str, ...] | None


def parse(body: bytes, model: ModelInfo) -> Infer:
    """Decode the body of an infer request. Raises RequestError."""
    request = load_object(body)
    _known(request, _REQUEST_FIELDS, "the request")
    identifier = request.get("id")
    if identifier is not None and not isinstance(identifier, str):
        raise RequestError(f"id: expected a string, got {json_name(identifier)}")
    parameters = request.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError(f"parameters: expected an object, got {json_name(parameters)}")
    signature = model.signature()
    return Infer(Query(signature, _inputs(request.get("inputs"), signature)), identifier, _asked(request, signature))


def _known(given: Mapping[str, object], fields: tuple[str, ...], where: str) -> None:
    for field in given:
        if field not in fields:
            raise RequestError(f"{where}: unknown field {field!r}{nearest(field, fields)}; expected {listing(fields)}")


def _objects(value: object, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise RequestError(f"{where}: expected a list of objects, got {json_name(value)}")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise RequestError(f"{where}[{index}]: expected an object, got {json_name(item)}")
        if not isinstance(item.get("name"), str):
            raise RequestError(f"{where}[{index}].name: expected a string, got {json_name(item.get('name'))}")
    return value


def _inputs(value: object, signature: Signature) -> dict[str, np.ndarray]:
    given: dict[str, dict[str, Any]] = {}
    for tensor in _objects(value, "inputs"):
        name = tensor["name"]
        if name in given:
            raise RequestError(f"inputs: {name!r} is given twice")
        given[name] = tensor
    signature.check_names(given, "inputs")
    return {spec.name: _tensor(given[spec.name], spec) for spec in signature.inputs}


def _tensor(tensor: dict[str, Any], spec: TensorSpec) -> np.ndarray:
    where = f"input {spec.name!r}"
    _known(tensor, _INPUT_FIELDS, where)
    datatype = tensor.get("datatype")
    if datatype != spec.element.v2:
        got = repr(datatype) if isinstance(datatype, str) else json_name(datatype)
        raise RequestError(f"{where}: expected datatype {spec.element.v2!r}, got {got:.40}")
    sizes = tensor.get("shape")
    if not isinstance(sizes, list) or len(sizes) > MAX_RANK or any(type(n) is not int or n < 0 for n in sizes):
        raise RequestError(f"{where}: shape: expected a list of at most {MAX_RANK} sizes, got {sizes!r:.80}")
    shape = tuple(sizes)
    if not spec.admits(shape):
        raise RequestError(f"{where}: expected {spec}, got shape {sizes!r:.80}")
    data = tensor.get("data")
    if not isinstance(data, list):
        raise RequestError(f"{where}: data: expected a list, got {json_name(data)}")
    if data and isinstance(data[0], list):
        flat, nested = flatten(data, max(1, len(shape)), where)
        if nested != shape:
            raise RequestError(f"{where}: shape says {sizes}, the nested data has {list(nested)}")
        return from_flat(flat, shape, spec, where)
    return from_flat(data, shape, spec, where)


def _asked(request: dict[str, Any], signature: Signature) -> tuple[str, ...] | None:
    if not request.get("outputs"):
        return None
    known = [spec.name for spec in signature.outputs]
    names = []
    for output in _objects(request["outputs"], "outputs"):
        _known(output, _OUTPUT_FIELDS, f"output {output['name']!r}")
        if output["name"] not in known:
            near = nearest(output["name"], known)
            raise RequestError(f"outputs: unknown output {output['name']!r}{near}; the model has {listing(known)}")
        names.append(output["name"])
    return tuple(names)


def render(infer: Infer, outputs: Mapping[str, np.ndarray], model: ModelInfo) -> bytes:
    """The answer's body: flat data in row-major order."""
    specs = {spec.name: spec for spec in infer.query.signature.outputs}
    tensors = []
    for name in infer.outputs or tuple(outputs):
        array = outputs[name]
        tensor: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": specs[name].element.v2}
        data = encode.jsonable(name, array.reshape(-1))
        if array.dtype == object and any(isinstance(item, dict) for item in data):
            tensor["parameters"] = {"content_type": "base64"}
            data = [item["b64"] for item in encode.jsonable(name, array.reshape(-1), as_base64=True)]
        tensors.append({**tensor, "data": data})
    answer: dict[str, Any] = {"model_name": model.name, "model_version": str(model.version), "outputs": tensors}
    if infer.id is not None:
        answer["id"] = infer.id
    return encode.dumps(answer)


def server_metadata(version: str) -> dict[str, Any]:
    """What GET /v2 answers."""
    return {"name": "sojourn", "version": version, "extensions": []}


def repository_index(model: ModelInfo, *, ready: bool) -> list[dict[str, str]]:
    """What POST /v2/repository/index answers, Triton's extension by which clients learn what a server has."""
    state = "READY" if ready else "UNAVAILABLE"
    return [{"name": model.name, "version": str(model.version), "state": state, "reason": "" if ready else "draining"}]


def model_metadata(model: ModelInfo) -> dict[str, Any]:
    """What GET /v2/models/<m> answers: the tensors of the default signature."""
    signature = model.signature()

    def tensor(spec: TensorSpec) -> dict[str, Any]:
        return {"name": spec.name, "datatype": spec.element.v2, "shape": spec.sizes}

    return {
        "name": model.name,
        "versions": [str(model.version)],
        "platform": "tensorflow_savedmodel",
        "inputs": [tensor(spec) for spec in signature.inputs],
        "outputs": [tensor(spec) for spec in signature.outputs],
    }
