"""What is generated from the models is up to date, structural, and described throughout."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from sojourn.api import generate
from sojourn.api.crds import KINDS, Kind, definition
from sojourn.api.schema import editor

by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def walk(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from walk(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from walk(schema[key], f"{path}[{key}]")


def version(kind: Kind) -> dict[str, Any]:
    return definition(kind)["spec"]["versions"][0]


def test_nothing_drifted(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = generate.main(["--check", "--root", str(repository)])
    assert code == 0, f"run `make manifests`:\n{capsys.readouterr().out}"


def test_drift_is_shown(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = tmp_path / "manifests/examples/digits-mlp.yaml"
    example.parent.mkdir(parents=True)
    example.write_text((repository / "manifests/examples/digits-mlp.yaml").read_text())
    assert generate.main(["--root", str(tmp_path)]) == 0
    assert generate.main(["--root", str(tmp_path), "--check"]) == 0
    page = tmp_path / "docs/reference/manifest.md"
    page.write_text(page.read_text().replace("# Manifest reference", "# Manifests"))
    assert generate.main(["--root", str(tmp_path), "--check"]) == 1
    assert "+# Manifest reference" in capsys.readouterr().out


@by_kind
def test_schemas_are_structural(kind: Kind) -> None:
    """https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/"""
    for path, schema in walk(version(kind)["schema"]["openAPIV3Schema"]):
        assert not {"$ref", "allOf", "oneOf", "not", "const", "title", "definitions", "$defs"} & schema.keys(), path
        if schema.get("x-kubernetes-int-or-string"):
            assert schema["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
        else:
            assert schema.get("type") in {"object", "array", "string", "integer", "number", "boolean"}, path
            assert "anyOf" not in schema, path
        assert not {"properties", "additionalProperties"} <= schema.keys(), path
        assert schema.get("default", 0) is not None, path
        if schema.get("type") == "array":
            assert "items" in schema, path


@by_kind
def test_every_field_is_described(kind: Kind) -> None:
    for path, schema in walk(version(kind)["schema"]["openAPIV3Schema"]):
        if path != ".metadata" and not path.endswith("]"):
            assert schema.get("description", "").strip().endswith("."), path


@by_kind
def test_what_rules_read_is_bounded(kind: Kind) -> None:
    """The API server refuses rules whose worst case is too dear, so texts and lists of a spec have an end."""
    spec = version(kind)["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for path, schema in walk(spec):
        if schema.get("type") == "string" and "enum" not in schema and schema.get("format") != "date-time":
            assert "maxLength" in schema, path
        if schema.get("type") == "array":
            assert "maxItems" in schema, path


@by_kind
def test_bounds_are_numbers_that_the_api_server_can_compare(kind: Kind) -> None:
    """It turns them into 64 bit integers where it meets a default that is one, and they must not wrap."""
    for path, schema in walk(version(kind)["schema"]["openAPIV3Schema"]):
        for bound in ("minimum", "maximum"):
            assert abs(schema.get(bound, 0)) < 1 << 63, (path, bound)


@by_kind
def test_columns_name_fields_that_exist(kind: Kind) -> None:
    schema = version(kind)["schema"]["openAPIV3Schema"]
    paths = {path for path, _ in walk(schema)} | {".metadata.creationTimestamp"}
    for column in kind.columns:
        path = re.sub(r'[.]conditions\[[?]\(@[.]type=="[A-Za-z]+"\)\]', ".conditions[items]", column.path)
        assert path in paths, column


@by_kind
def test_editor_schemas_are_valid_draft_7(kind: Kind) -> None:
    Draft7Validator.check_schema(editor(kind.model))


def test_the_package_costs_nothing_until_it_is_used() -> None:
    script = "import sys, sojourn.api; sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_public_name_can_be_imported() -> None:
    import sojourn.api

    assert {name for name in sojourn.api.__all__ if not hasattr(sojourn.api, name)} == set()
    assert set(sojourn.api.__all__) <= set(dir(sojourn.api))
