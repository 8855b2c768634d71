"""The part of a Kubernetes API server that judges custom resources, enough of it to try our CRDs on.

Order and meaning as in k8s.io/apiextensions-apiserver: drop nulls, refuse unknown fields (kubectl's strict validation),
set defaults, validate the schema, evaluate CEL rules, those with oldSelf on updates only.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from cel_expr_python import cel
from jsonschema import Draft4Validator

Schema = dict[str, Any]


def judge(crd: dict[str, Any], obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    """Everything the API server would refuse about an object; [] if it would take it."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    new, before = defaulted(schema, obj), defaulted(schema, old) if old is not None else None
    errors = list(_unknown(schema, new, ""))
    for error in Draft4Validator(schema).iter_errors(new):
        errors.append(f"{error.json_path.removeprefix('$.')}: {error.message}")
    # As the API server does: rules assume types, so they wait until the schema is satisfied.
    return errors or list(_broken_rules(schema, new, before, ""))


def defaulted(schema: Schema, obj: dict[str, Any]) -> dict[str, Any]:
    """A copy without nulls and with the defaults of the schema filled in."""
    result = copy.deepcopy(obj)
    _fill(schema, result)
    return result


def _fill(schema: Schema, value: Any) -> None:
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if value.get(name) is None:
                value.pop(name, None)
                if "default" in part:
                    value[name] = copy.deepcopy(part["default"])
            if name in value:
                _fill(part, value[name])
    elif isinstance(value, list):
        for item in value:
            _fill(schema.get("items", {}), item)


def _unknown(schema: Schema, value: Any, path: str) -> Iterator[str]:
    properties = schema.get("properties")
    if isinstance(value, dict) and schema.get("type") == "object":
        open_ended = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
        for name, part in value.items():
            here = f"{path}.{name}".removeprefix(".")
            if properties and name in properties:
                yield from _unknown(properties[name], part, here)
            elif not open_ended and here.split(".")[0] != "metadata":
                yield f"{here}: unknown field"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(schema.get("items", {}), item, f"{path}[{index}]")


def _broken_rules(schema: Schema, value: Any, old: Any, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        transition = "oldSelf" in rule["rule"]
        if transition and old is None:
            continue
        data = {"self": value, "oldSelf": old} if transition else {"self": value}
        if _program(rule["rule"], transition).eval(data=data).value() is not True:
            yield f"{path}{rule.get('fieldPath', '')}".removeprefix(".") + f": {rule['message']}"
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name in value:
                before = old.get(name) if isinstance(old, dict) else None
                yield from _broken_rules(part, value[name], before, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _broken_rules(schema.get("items", {}), item, None, f"{path}[{index}]")


@cache
def _program(rule: str, transition: bool) -> Any:
    names = ("self", "oldSelf") if transition else ("self",)
    return cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN)).compile(rule)
