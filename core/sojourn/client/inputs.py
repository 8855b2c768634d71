"""Inputs for predictions from a file: JSON in any of the usual forms, .npz, .npy."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sojourn.client.tensors import Inputs
from sojourn.errors import InvalidInput, NotFound

_GOLDEN = "inputs/"


def read_inputs(source: str, stdin: bytes | None = None) -> Inputs:
    """Inputs from a file, or from `stdin` where `source` is "-".

    JSON may be an array, arrays by name, or a request of either protocol; .npz holds arrays by name (of an export's
    golden.npz the inputs are taken).

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is neither JSON nor NumPy's.
    """
    path = Path(source)
    if source != "-" and not path.is_file():
        raise NotFound(f"there is no file {path}", hint="Give a .json, .npz or .npy file, or - for standard input.")
    data = (stdin or b"") if source == "-" else path.read_bytes()
    name = "standard input" if source == "-" else str(path)
    try:
        if data[:2] == b"PK":
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                return _arrays({key: stored[key] for key in stored.files})
        if data[:6] == b"\x93NUMPY":
            loaded: np.ndarray[Any, Any] = np.load(io.BytesIO(data), allow_pickle=False)
            return loaded
        return from_document(json.loads(data), name)
    except ValueError as error:
        raise InvalidInput(f"{name} is neither JSON nor a .npz or .npy file: {error}") from error


def _arrays(stored: Mapping[str, Any]) -> Inputs:
    golden = {key.removeprefix(_GOLDEN): array for key, array in stored.items() if key.startswith(_GOLDEN)}
    found = golden or dict(stored)
    # A file with one unnamed array ("arr_0", "x0") is the one input, whatever the model calls it.
    only = next(iter(found)) if len(found) == 1 else ""
    return found[only] if only in ("arr_0", "x0", "x") else found


def from_document(document: Any, name: str) -> Inputs:
    """Inputs from a parsed JSON document; `name` is for messages. Raises InvalidInput."""
    if isinstance(document, list):
        return _array(document, name)
    if not isinstance(document, dict):
        raise InvalidInput(f"{name} holds {document!r:.40}; expected an array, arrays by name, or a request")
    if "instances" in document:
        rows = document["instances"]
        if isinstance(rows, list) and rows and isinstance(rows[0], dict) and rows[0].keys() != {"b64"}:
            return {key: _array([row.get(key) for row in rows], f"{name}, {key}") for key in rows[0]}
        return _array(rows, name)
    columns = document.get("inputs", document)
    if isinstance(columns, list):
        if columns and isinstance(columns[0], dict) and "data" in columns[0]:
            return {t["name"]: _array(t["data"], f"{name}, {t['name']}").reshape(t["shape"]) for t in columns}
        return _array(columns, name)
    return {key: _array(value, f"{name}, {key}") for key, value in columns.items()}


def first_rows(inputs: Inputs, rows: int) -> Inputs:
    """The first `rows` rows of every input."""
    if isinstance(inputs, Mapping):
        return {name: np.asarray(value)[:rows] for name, value in inputs.items()}
    first: np.ndarray[Any, Any] = np.asarray(inputs)[:rows]
    return first


def _array(value: Any, name: str) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":
            return _decoded(array)
    except (ValueError, LookupError, TypeError) as error:
        raise InvalidInput(
            f"{name}: expected nested lists of equal lengths with numbers, booleans, strings or base64 objects"
        ) from error
    return array


def _decoded(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    result = np.empty(array.size, dtype=object)
    for index, item in enumerate(array.reshape(-1)):
        result[index] = item if isinstance(item, str) else base64.b64decode(item["b64"], validate=True)
    return result.reshape(array.shape)
