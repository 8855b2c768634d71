"""JSON values to arrays, strictly: no string is a number, no float an integer, no ragged list a tensor.

Lists are flattened level by level with built-ins that run in C; NumPy never has to guess a common type, which
is slow, lenient, and for one long string among many numbers takes all memory.
"""

from __future__ import annotations

import base64
import binascii
import json
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import orjson

from sojourn_serving.server.protocol.errors import RequestError
from sojourn_serving.server.protocol.signature import TensorSpec

MAX_RANK = 32
_JSON_NAMES = {list: "a list", dict: "an object", str: "a string", bool: "a boolean", int: "an integer"}
_JSON_NAMES |= {float: "a number", type(None): "null"}
_LEAVES = {
    "float": (frozenset({int, float}), "numbers"),
    "int": (frozenset({int}), "integers"),
    "bool": (frozenset({bool}), "booleans"),
    "string": (frozenset({str, dict}), 'strings or {"b64": ...} objects'),
}


def json_name(value: object) -> str:
    """What JSON calls this value, with an article: "a list", "null"."""
    return _JSON_NAMES.get(type(value), type(value).__name__)


def load_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises RequestError for anything else, NaN and Infinity included."""
    if not body.strip():
        raise RequestError("the request body is empty; expected a JSON object")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the request body is not valid JSON: {_why(body, error)}") from error
    if not isinstance(value, dict):
        raise RequestError(f"the request body is {json_name(value)}; expected a JSON object")
    return value


def _why(body: bytes, error: orjson.JSONDecodeError) -> str:
    found: list[str] = []
    try:
        json.loads(body, parse_constant=found.append)
    except (ValueError, RecursionError):
        found.clear()
    if found:
        return f"{found[0]} is not a JSON number; send finite numbers"
    return f"{error.msg} (line {error.lineno}, column {error.colno})"


def to_array(value: object, spec: TensorSpec, where: str) -> np.ndarray:
    """The array that nested lists (or a scalar) stand for, with `spec`'s dtype and an admitted shape.

    Raises:
        RequestError: ragged lists, a wrong element type, a number out of the dtype's range, a wrong shape.
    """
    rank = MAX_RANK if spec.shape is None else len(spec.shape)
    flat, shape = flatten(value, rank, where)
    if not spec.admits(shape):
        raise RequestError(f"{where}: expected {spec}, got shape {list(shape)}")
    return leaves(flat, spec, where).reshape(shape)


def flatten(value: object, rank: int, where: str) -> tuple[list[Any], tuple[int, ...]]:
    """The elements of lists nested at most `rank` deep, in row-major order, and their shape."""
    level: list[Any] = [value]
    shape: list[int] = []
    while len(shape) < rank and level and list in (kinds := set(map(type, level))):
        lengths = set(map(len, level)) if kinds == {list} else set()
        if len(lengths) != 1:
            raise RequestError(f"{where}: {_ragged(level, shape)}")
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return level, tuple(shape)


def _ragged(level: list[Any], shape: list[int]) -> str:
    def describe(item: object) -> str:
        return f"a list of {len(item)}" if isinstance(item, list) else json_name(item)

    expected = describe(level[0])
    index = next(i for i, item in enumerate(level) if describe(item) != expected)
    place = "".join(f"[{i}]" for i in np.unravel_index(index, shape))
    return f"lists of unequal length: {place} is {describe(level[index])}, the first entry is {expected}"


def leaves(flat: list[Any], spec: TensorSpec, where: str) -> np.ndarray:
    """A flat array of `spec`'s dtype. Raises RequestError for elements that are not of that dtype."""
    kind = spec.element.kind
    if kind == "other":
        raise RequestError(f"{where}: dtype {spec.dtype} cannot be sent as JSON")
    allowed, words = _LEAVES[kind]
    if not allowed.issuperset(map(type, flat)):
        wrong = next(item for item in flat if type(item) not in allowed)
        shown = f"{json_name(wrong)}" + (f" ({wrong!r:.40})" if isinstance(wrong, str | int | float) else "")
        raise RequestError(f"{where}: expected {spec}, so {words}; got {shown}")
    if kind == "string":
        array = np.empty(len(flat), dtype=object)
        array[:] = [to_bytes(item, where) for item in flat]
        return array
    if kind == "int" and flat:
        limits = np.iinfo(spec.dtype)
        for edge in (min(flat), max(flat)):
            if not limits.min <= edge <= limits.max:
                raise RequestError(f"{where}: {edge} is out of range for {spec.dtype} ({limits.min} to {limits.max})")
    try:
        with np.errstate(over="ignore"):
            # bfloat16 does not take integers beyond 63 bits; float64 takes every number.
            exact = np.array(flat, dtype=np.float64 if spec.dtype == "bfloat16" else spec.element.numpy)
            array = exact.astype(spec.element.numpy, copy=False)
    except OverflowError as error:
        raise RequestError(f"{where}: an integer is out of range for {spec.dtype}") from error
    if kind == "float" and not np.isfinite(array).all():
        first = flat[int(np.flatnonzero(~np.isfinite(array))[0])]
        raise RequestError(f"{where}: {first!r:.40} is out of range for {spec.dtype}")
    return array


def to_bytes(item: str | dict[str, Any], where: str) -> bytes:
    """A string's UTF-8 bytes, or what ``{"b64": "<base64>"}`` encodes."""
    if isinstance(item, str):
        return item.encode()
    encoded = item.get("b64")
    if len(item) != 1 or not isinstance(encoded, str):
        raise RequestError(
            f'{where}: expected a string or {{"b64": "<base64>"}}, got an object with {sorted(item)!r:.80}'
        )
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f'{where}: the "b64" value is not base64: {error}') from error


def from_flat(flat: list[Any], shape: tuple[int, ...], spec: TensorSpec, where: str) -> np.ndarray:
    """Row-major elements into `shape`. Raises RequestError where the count or the element type is wrong."""
    if len(flat) != prod(shape):
        raise RequestError(f"{where}: shape {list(shape)} needs {prod(shape)} elements, got {len(flat)}")
    array = leaves(flat, spec, where)
    try:
        return array.reshape(shape)
    except ValueError as error:  # no elements, and sizes beyond what an index can hold
        raise RequestError(f"{where}: shape {list(shape)!r:.80} is not a tensor's shape") from error
