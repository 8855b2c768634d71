"""The locked sets answer pyproject.toml, agree with each other, and keep heavy packages where they belong."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

# Which extras each set serves. `None`: none, the base install.
SETS: dict[str, list[str]] = {
    "base": [],
    "operator": ["operator"],
    "mover": ["mover"],
    "trainer": ["trainer"],
    "serving": ["serving"],
    "dev": ["operator", "cluster", "mover", "signing", "trainer", "serving", "report", "dev"],
}
FORBIDDEN = {
    "base": {"tensorflow", "tensorflow-cpu", "keras", "ray", "kubernetes"},
    "operator": {"tensorflow", "tensorflow-cpu", "keras", "ray"},
    "mover": {"tensorflow", "tensorflow-cpu", "keras", "ray", "kubernetes"},
    "trainer": {"tensorflow"},
    "serving": {"tensorflow", "ray"},
    "dev": {"tensorflow"},
}
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)(?: ; ([^\\]+?))?(?: \\)?$", re.MULTILINE)


def pins(repository: Path, name: str) -> dict[str, dict[str, Marker | None]]:
    """{package: {version: the marker under which it is that version}}"""
    text = (repository / f"requirements/{name}.txt").read_text()
    found: dict[str, dict[str, Marker | None]] = defaultdict(dict)
    for package, version, marker in PIN.findall(text):
        found[canonicalize_name(package)][version] = Marker(marker) if marker else None
    return found


def asked(repository: Path, extras: list[str]) -> list[Requirement]:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    # The CPU build stands in for TensorFlow here: the two install into one folder.
    return [Requirement(re.sub(r"^tensorflow(?=[<>=])", "tensorflow-cpu", line)) for line in lines]


@pytest.mark.parametrize(("name", "extras"), SETS.items())
def test_a_set_answers_what_pyproject_asks(repository: Path, name: str, extras: list[str]) -> None:
    locked = pins(repository, name)
    for requirement in asked(repository, extras):
        versions = locked.get(canonicalize_name(requirement.name), {})
        assert versions, f"requirements/{name}.txt lacks {requirement}: run make requirements"
        for version in versions:
            assert requirement.specifier.contains(Version(version)), f"{requirement} is locked as {version}"


@pytest.mark.parametrize(("name", "packages"), FORBIDDEN.items())
def test_a_set_leaves_out_what_its_side_must_not_have(repository: Path, name: str, packages: set[str]) -> None:
    assert packages.isdisjoint(pins(repository, name))


@pytest.mark.parametrize("name", [*SETS, "build"])
def test_every_pin_has_hashes_and_no_set_names_an_index(repository: Path, name: str) -> None:
    text = (repository / f"requirements/{name}.txt").read_text()
    blocks = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    assert [block for block in blocks if block.strip() and "--hash=sha256:" not in block] == []
    assert "://" not in text


@pytest.mark.parametrize("name", ["base", "operator", "trainer", "serving"])
def test_sets_lock_the_versions_that_the_tests_run_with(repository: Path, name: str) -> None:
    tested = pins(repository, "dev")
    for package, versions in pins(repository, name).items():
        assert set(versions) <= set(tested[package]), package


@pytest.mark.parametrize("name", ["trainer", "serving"])
def test_the_layer_that_images_share_is_part_of_their_sets(repository: Path, name: str) -> None:
    shared, whole = pins(repository, "tensorflow"), pins(repository, name)
    assert "tensorflow-cpu" in shared
    assert {package: versions for package, versions in shared.items() if whole.get(package) != versions} == {}


def test_the_extras_of_dev_are_all_extras(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert set(SETS["dev"]) == set(project["optional-dependencies"])
