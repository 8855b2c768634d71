"""JSON merge patches (RFC 7386): apply one, and find the smallest that leads from one value to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """What a target becomes. Neither argument is changed; parts may be shared with the result."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply_merge_patch(result.get(name), value)
    return result


def merge_patch_between(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The patch that makes `old` into `new`; {} if they are equal. A None in `new` counts as absent."""
    patch: dict[str, Any] = {}
    for name, value in new.items():
        if value is None:
            if name in old:
                patch[name] = None
        elif name not in old:
            patch[name] = value
        elif isinstance(value, Mapping) and isinstance(old[name], Mapping):
            if inner := merge_patch_between(old[name], value):
                patch[name] = inner
        elif value != old[name]:
            patch[name] = value
    patch.update({name: None for name in old if name not in new})
    return patch
