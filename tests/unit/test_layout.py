"""The shape of the repository: source roots, what a wheel holds, what an import may pull in, what files may say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOTS = {
    "core": "sojourn",
    "operator": "sojourn_operator",
    "trainer": "sojourn_trainer",
    "serving": "sojourn_serving",
}
MAX_LINES = 500

# Where packages come from and where a checkout lies are settings of a machine, never of the project.
MACHINE = {
    "a package index": re.compile(
        r"--(?:extra-)?index-url|--find-links|https?://\S*(?:/simple\b|pypi\.|pythonhosted\.)"
    ),
    # Ada is the user of the examples.
    "a home folder": re.compile(r"(?<![\w.])/(?:home/(?!ada/)\w+|Users/\w+|root)/"),
}


def tracked(repository: Path, *patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
    files = [repository / name for name in listing.split("\0") if name]
    return [file for file in files if file.is_file()]


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, object]:
    document: dict[str, dict[str, object]] = tomllib.loads((repository / "pyproject.toml").read_text())
    return document["project"]


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    (file,) = folder.glob("*.whl")
    return ZipFile(file)


@pytest.mark.parametrize(("root", "package"), ROOTS.items())
def test_a_source_root_holds_its_package_and_nothing_else(repository: Path, root: str, package: str) -> None:
    found = {path.name for path in (repository / root).iterdir() if path.name != "__pycache__"}
    assert found == {package}


def test_the_wheel_target_lists_every_package(repository: Path) -> None:
    document = tomllib.loads((repository / "pyproject.toml").read_text())
    packages = document["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) == {f"{root}/{package}" for root, package in ROOTS.items()}


def test_the_wheel_holds_the_four_packages_typed(wheel: ZipFile) -> None:
    top = {name.partition("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == set(ROOTS.values())
    assert {f"{package}/py.typed" for package in ROOTS.values()} <= set(wheel.namelist())


def test_the_wheel_holds_every_module_of_the_work_tree(wheel: ZipFile, repository: Path) -> None:
    modules = {
        str(path.relative_to(repository / root))
        for root in ROOTS
        for path in tracked(repository, f"{root}/**")
        if path.suffix == ".py"
    }
    assert modules <= set(wheel.namelist())


def test_the_wheel_holds_the_entry_points(wheel: ZipFile, project: dict[str, dict[str, dict[str, str]]]) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    parser = ConfigParser(delimiters=("=",))
    parser.read_string(wheel.read(name).decode())
    assert dict(parser["console_scripts"]) == project["scripts"]
    assert dict(parser["sojourn.verbs"]) == project["entry-points"]["sojourn.verbs"]


def test_core_imports_no_tensorflow_ray_or_kubernetes() -> None:
    program = """
import importlib, pkgutil, sys, sojourn
for module in pkgutil.walk_packages(sojourn.__path__, "sojourn."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras", "ray", "kubernetes"}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_no_python_file_is_too_long(repository: Path) -> None:
    lengths = {file: len(file.read_text().splitlines()) for file in tracked(repository, "*.py")}
    assert {str(file): length for file, length in lengths.items() if length >= MAX_LINES} == {}


def test_tracked_files_name_nothing_of_a_machine(repository: Path) -> None:
    found = []
    for file in tracked(repository):
        if file == Path(__file__):
            continue
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        for what, pattern in MACHINE.items():
            if match := pattern.search(text):
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{file.relative_to(repository)}:{line} names {what}: {match.group()}")
    assert found == []
