"""Server-side apply in small: which fields one manager owns, and what applying again does to an object.

Lists are owned whole, as the API server treats those without a merge key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sojourn_operator.runtime.mergepatch import apply_merge_patch

Path = tuple[str, ...]

_IDENTITY = frozenset({("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")})


def owned_fields(applied: Mapping[str, Any]) -> frozenset[Path]:
    """The fields that an applied object claims."""
    return frozenset(_leaves(applied, ())) - _IDENTITY


def apply_owned(live: Mapping[str, Any], applied: Mapping[str, Any], before: frozenset[Path]) -> dict[str, Any]:
    """The live object with all applied fields, and without those that were applied before and are no longer."""
    result: dict[str, Any] = apply_merge_patch(live, applied)
    for path in sorted(before - owned_fields(applied)):
        result = _without(result, path)
    return result


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _leaves(part, (*path, name))
    else:
        yield path


def _without(value: Any, path: Path) -> Any:
    name, *rest = path
    if not isinstance(value, Mapping) or name not in value:
        return value
    if rest and (inner := _without(value[name], tuple(rest))):
        return {**value, name: inner}
    return {key: part for key, part in value.items() if key != name}
