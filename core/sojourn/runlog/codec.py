"""Frozen dataclasses to JSON objects and back: snake_case to camelCase, times to RFC 3339.

Fields that have their default are left out; unknown names are ignored when read, so that fields can be added.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Hashable
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def parse(data: bytes) -> Any:
    """The JSON value in `data`. Raises ValueError, also where it is nested too deeply to be ours."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def to_json(value: Any) -> Any:
    """The JSON form of a dataclass, or of anything that a field of one may hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            name: to_json(item)
            for field, name, _ in _plan(type(value))
            if not _is_default(field, item := getattr(value, field.name))
        }
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def from_json(cls: type[T], data: Any) -> T:
    """The dataclass `cls` that `data` describes. Raises ValueError, saying which field is wrong."""
    if not isinstance(data, dict):
        raise ValueError(f"{cls.__name__} should be an object, not {data!r:.60}")
    values = {}
    for field, name, hint in _plan(typing.cast("Hashable", cls)):
        if name in data:
            values[field.name] = _decode(hint, data[name], f"{cls.__name__}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{cls.__name__}.{name} is missing")
    return cls(**values)


@cache
def _plan(cls: Hashable) -> list[tuple[dataclasses.Field[Any], str, Any]]:
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(typing.cast("type[Any]", cls))
    return [(field, _camel(field.name), hints[field.name]) for field in fields]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(value == field.default)
    return field.default_factory is not dataclasses.MISSING and bool(value == field.default_factory())


def _decode(hint: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if hint is Any:
        return data
    if origin in (typing.Union, types.UnionType):
        inner = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        return None if data is None else _decode(inner, data, where)
    if origin in (tuple, dict):
        return _decode_collection(origin, typing.get_args(hint), data, where)
    if origin is typing.Literal:
        if data not in typing.get_args(hint):
            raise ValueError(f"{where} should be one of {typing.get_args(hint)}, not {data!r:.60}")
        return data
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), data)
    return _decode_scalar(hint, data, where)


def _decode_collection(origin: type, args: tuple[Any, ...], data: Any, where: str) -> Any:
    if origin is tuple and isinstance(data, list):
        return tuple(_decode(args[0], item, where) for item in data)
    if origin is dict and isinstance(data, dict):
        return {key: _decode(args[1], item, where) for key, item in data.items()}
    raise ValueError(f"{where} has the wrong type: {data!r:.60}")


def _decode_scalar(hint: Any, data: Any, where: str) -> Any:
    if hint is datetime and isinstance(data, str):
        return datetime.fromisoformat(data)
    if hint is float:
        if isinstance(data, str) and data in _NON_FINITE:
            return _NON_FINITE[data]
        if isinstance(data, int | float) and not isinstance(data, bool):
            return float(data)
    elif isinstance(data, hint) and (hint is bool or not isinstance(data, bool)):
        return data
    raise ValueError(f"{where} should be {hint.__name__}, not {data!r:.60}")
