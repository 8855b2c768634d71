"""Arrays to JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import orjson

from sojourn_serving.server.protocol.errors import RequestError

_NATIVE_KINDS = "fiub"


def dumps(document: dict[str, Any] | list[Any]) -> bytes:
    """Compact JSON; NumPy arrays as nested lists, NaN and infinities as null."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def dumps_with_nan(document: dict[str, Any]) -> bytes:
    """As `dumps`, but with the tokens NaN, Infinity and -Infinity, which TensorFlow Serving writes."""
    return json.dumps(document, default=lambda array: array.tolist(), separators=(",", ":")).encode()


def jsonable(name: str, array: np.ndarray, *, as_base64: bool = False) -> Any:
    """`array` in a form that `dumps` takes: itself, a float32 copy for bfloat16, or nested strings.

    Byte strings become text where they are UTF-8, else (or with `as_base64`) ``{"b64": ...}`` objects.
    """
    if array.dtype == object:
        return _strings(array.tolist(), as_base64)
    if array.dtype.kind not in _NATIVE_KINDS:
        if array.dtype.name != "bfloat16":
            raise RequestError(f"output {name!r} has dtype {array.dtype}, which JSON cannot carry", 501)
        return array.astype(np.float32)
    return np.ascontiguousarray(array) if array.ndim else array.reshape(1)[0]


def _strings(value: Any, as_base64: bool) -> Any:
    if isinstance(value, list):
        return [_strings(item, as_base64) for item in value]
    data = value if isinstance(value, bytes) else str(value).encode()
    if not as_base64:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(data).decode()}


def finite(array: np.ndarray) -> bool:
    """Whether JSON proper can carry every element."""
    return array.dtype.kind in "iubO" or bool(np.isfinite(array).all())
