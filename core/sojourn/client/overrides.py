"""`--set spec.training.epochs=3`: single values of a manifest changed from the command line."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sojourn.errors import InvalidInput

_HOW = "Write a path of the manifest and a YAML value, as in --set spec.training.epochs=3; null removes a field."


def override(manifest: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """A copy of the manifest with each `path=value` applied in order.

    Raises:
        InvalidInput: an assignment has no value, is no YAML, or leads through something that has no fields.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(manifest))
    for assignment in assignments:
        path, sign, text = assignment.partition("=")
        keys = path.strip().split(".")
        if not sign or not all(keys):
            raise InvalidInput(f"{assignment!r} sets nothing.", hint=_HOW)
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InvalidInput(f"The value of {assignment!r} is not YAML: {error}.", hint=_HOW) from error
        _assign(changed, keys, value, assignment)
    return changed


def _assign(manifest: dict[str, Any], keys: Sequence[str], value: object, assignment: str) -> None:
    node = manifest
    for key in keys[:-1]:
        if node.get(key) is None:
            node[key] = {}
        child = node[key]
        if not isinstance(child, dict):
            raise InvalidInput(f"{assignment!r}: {key} is {child!r} and has no fields.", hint=_HOW)
        node = child
    if value is None:
        node.pop(keys[-1], None)
    else:
        node[keys[-1]] = value
