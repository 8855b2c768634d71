"""What of the chart is generated is up to date, and what people may set is documented, checked and used."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from helpers.helm import CHART
from sojourn_operator.settings import Settings

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = "".join(path.read_text() for path in sorted((CHART / "templates").rglob("*")) if path.is_file())


@pytest.fixture(scope="module")
def generator(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_generate", repository / "charts/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def properties(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        if "properties" in part:
            yield from properties(part, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def has(data: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(data, dict) or name not in data:
            return False
        data = data[name]
    return True


def test_rules_and_readme_do_not_drift(generator: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert generator.main(["--check", "--helm", ""]) == 0, f"run `make manifests`:\n{capsys.readouterr().out}"


def test_manifests_install_do_not_drift(
    generator: ModuleType, helm_program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = generator.main(["--check", "--helm", helm_program])
    assert code == 0, f"run `make manifests HELM=...`:\n{capsys.readouterr().out}"


def test_drift_is_found(generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("values.yaml", "Chart.yaml"):
        (tmp_path / name).write_text((CHART / name).read_text().replace("run side by side", "run beside each other"))
    generator.CHART, before = tmp_path, generator.CHART
    try:
        assert generator.main(["--helm", ""]) == 0
        assert generator.main(["--check", "--helm", ""]) == 0
        assert "run beside each other" in (tmp_path / "README.md").read_text()
        (tmp_path / "README.md").write_text("something else\n")
        assert generator.main(["--check", "--helm", ""]) == 1
    finally:
        generator.CHART = before
    assert "-something else" in capsys.readouterr().out


def test_every_value_is_documented(generator: ModuleType) -> None:
    assert generator.undocumented((CHART / "values.yaml").read_text()) == []
    assert generator.undocumented("# A\na: 1\nb:\n  # C\n  c: 2\n  d: 3\n") == ["b.d"]


def test_every_value_has_a_schema_and_a_default() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(VALUES)] == []
    # `global` is Helm's own.
    assert [path for path in properties(SCHEMA) if path != "global" and not has(VALUES, path)] == []


def test_every_value_is_used() -> None:
    def used(path: str) -> bool:
        # The whole of a part may be handed on, and images are looked up by a helper.
        parent, _, name = path.rpartition(".")
        ways = [rf"[.]Values[.]{re.escape(path)}\b", rf"toYaml [.]Values[.]{re.escape(parent)}\b"]
        if parent == "images":
            ways += [rf"[$]images[.]{name}\b", f'"role" "{name}"']
        return any(re.search(way, TEMPLATES) for way in ways)

    assert [path for path in properties(SCHEMA) if path != "global" and not used(path)] == []


def test_variables_are_settings_of_the_operator() -> None:
    known = {f"SOJOURN_OPERATOR_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(re.findall(r"SOJOURN_OPERATOR_[A-Z_]+[A-Z]", TEMPLATES)) <= known


def test_versions_are_the_projects(repository: Path) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"', (repository / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert (chart["version"], chart["appVersion"]) == (version[1], version[1])


def test_without_helm_it_says_what_is_left_out(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, repository / "charts/generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": ""},
    )
    assert (done.returncode, "manifests/install was left out" in done.stderr) == (0, True), done.stderr
