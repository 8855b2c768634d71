"""JSON schemas of the resources: structural OpenAPI v3 for the API server, draft 7 for editors.

Both come from pydantic's schema of the models. Structural schemas know no references and no null, and say where unknown
fields are kept (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/).
"""

from __future__ import annotations

from typing import Any, Final, cast

from sojourn.api.base import RULES_KEY, Model, Rule
from sojourn.api.patterns import MEANINGS

Schema = dict[str, Any]

_DROPPED: Final = ("title", "examples", "$defs", RULES_KEY)
_FREE_FORM: Final = "JsonValue"


def structural(model: type[Model]) -> Schema:
    """The schema of a resource as a CustomResourceDefinition carries it."""
    source = model.model_json_schema()
    root = _Structural(source["$defs"]).convert(source)
    root["properties"] = {
        "apiVersion": {"type": "string", "description": source["properties"]["apiVersion"]["description"]},
        "kind": {"type": "string", "description": source["properties"]["kind"]["description"]},
        "metadata": {"type": "object"},
        "spec": root["properties"]["spec"],
        "status": root["properties"]["status"],
    }
    root["required"] = ["spec"]
    root["x-kubernetes-validations"] = [_name_rule(source)]
    return root


def _name_rule(source: Schema) -> dict[str, str]:
    """The rule on metadata.name, which the schema of a CustomResourceDefinition cannot hold itself."""
    metadata = source["$defs"][source["properties"]["metadata"]["$ref"].rsplit("/", 1)[1]]
    name = metadata["properties"]["name"]
    return {
        "rule": f"self.metadata.name.size() <= {name['maxLength']} && self.metadata.name.matches('{name['pattern']}')",
        "message": f"metadata.name must have {MEANINGS[name['pattern']]}",
    }


def editor(model: type[Model]) -> Schema:
    """The schema of a resource for editors and validators of YAML files."""
    source = model.model_json_schema()
    root = _Editor().convert(source)
    root["required"] = ["apiVersion", "kind", "metadata", "spec"]
    definitions = {name: _Editor().convert(part) for name, part in source["$defs"].items() if name != _FREE_FORM}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": model.__name__,
        **root,
        "definitions": dict(sorted(definitions.items())),
    }


def _without_null(schema: Schema) -> Schema:
    """anyOf of one schema and null, as that schema."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**options[0], **{key: value for key, value in schema.items() if key != "anyOf"}}


def _is_free_form(schema: Schema) -> bool:
    inner = schema.get("additionalProperties")
    return inner is True or (isinstance(inner, dict) and inner.get("$ref", "").endswith(f"/{_FREE_FORM}"))


class _Structural:
    def __init__(self, definitions: dict[str, Schema]) -> None:
        self.definitions = definitions

    def convert(self, schema: Schema) -> Schema:
        schema = self._resolve(_without_null(schema))
        result = {key: value for key, value in schema.items() if key not in _DROPPED}
        default = result.pop("default", None)
        free_form = _is_free_form(result)
        inner = result.pop("additionalProperties", None)
        if free_form:
            result["x-kubernetes-preserve-unknown-fields"] = True
        elif isinstance(inner, dict):
            result["additionalProperties"] = self.convert(inner)
        if "properties" in result:
            result["properties"] = {name: self.convert(part) for name, part in result["properties"].items()}
        if "items" in result:
            result["items"] = self.convert(result["items"])
        if validations := [_validation(rule) for rule in schema.get(RULES_KEY, ()) if rule.cel]:
            result["x-kubernetes-validations"] = validations
        if (default := without_empty(default)) is not None:
            result["default"] = default
        return _in_open_api(result)

    def _resolve(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return schema
        target = self.definitions[schema["$ref"].rsplit("/", 1)[1]]
        return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def without_empty(default: Any) -> Any:
    """A default without the parts that say the same as their absence; None where that is all of it."""
    if isinstance(default, dict):
        parts = {name: without_empty(value) for name, value in default.items()}
        default = {name: part for name, part in parts.items() if part is not None}
    return None if default in ({}, [], ()) else default


def _in_open_api(schema: Schema) -> Schema:
    """Numbers, formats and single words as OpenAPI 3.0 writes them."""
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    elif schema.get("type") == "number":
        schema["format"] = "double"
    for bound, inclusive in (("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum")):
        if bound in schema:
            schema[inclusive], schema[bound] = schema[bound], True
    return schema


def _validation(rule: Rule) -> dict[str, str]:
    result = {"rule": rule.cel, "message": rule.message}
    if rule.at:
        result["fieldPath"] = "".join(f".{name}" for name in rule.at)
    return result


class _Editor:
    def convert(self, schema: Schema) -> Schema:
        schema = _without_null(schema)
        result = {
            key: value
            for key, value in schema.items()
            if key not in (*_DROPPED, "default") and not key.startswith("x-kubernetes-")
        }
        if (default := without_empty(schema.get("default"))) is not None:
            result["default"] = default
        if _is_free_form(result):
            result["additionalProperties"] = True
        elif isinstance(result.get("additionalProperties"), dict):
            result["additionalProperties"] = self.convert(result["additionalProperties"])
        if "$ref" in result:
            result["$ref"] = cast(str, result["$ref"]).replace("#/$defs/", "#/definitions/")
            # Draft 7 ignores what stands beside a reference.
            result = {"allOf": [{"$ref": result.pop("$ref")}], **result}
        if "properties" in result:
            result["properties"] = {name: self.convert(part) for name, part in result["properties"].items()}
        if "items" in result:
            result["items"] = self.convert(result["items"])
        for rule in schema.get(RULES_KEY, ()):
            if rule.exclusive:
                result["oneOf"] = [{"required": [name]} for name in rule.touches]
        return result
