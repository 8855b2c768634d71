"""Every file of manifests/examples is a test: it loads, editors accept it and so does an API server."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from helpers.api_server import judge
from sojourn.api import TrainingJob, load_manifests

MANIFESTS = Path(__file__).parents[2] / "manifests"
EXAMPLES = sorted((MANIFESTS / "examples").rglob("*.yaml"))
SCHEMAS = {path.name: json.loads(path.read_text()) for path in (MANIFESTS / "schema").glob("*.json")}
CRDS = {
    crd["spec"]["names"]["kind"]: crd
    for crd in (yaml.safe_load(path.read_text()) for path in (MANIFESTS / "crds").glob("*.yaml"))
}

by_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def editor_errors(document: Any) -> list[str]:
    registry = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items())
    validator = Draft7Validator(SCHEMAS["manifest.json"], registry=registry)
    return [error.message for error in validator.iter_errors(document)]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@by_example
def test_it_loads(path: Path) -> None:
    assert len(load_manifests(path)) == len(documents(path))


@by_example
def test_editors_accept_it(path: Path) -> None:
    assert [editor_errors(document) for document in documents(path)] == [[]] * len(documents(path))


@by_example
def test_an_api_server_accepts_it(path: Path) -> None:
    assert [judge(CRDS[document["kind"]], document) for document in documents(path)] == [[]] * len(documents(path))


@by_example
def test_its_task_is_part_of_the_distribution(path: Path) -> None:
    for loaded in load_manifests(path):
        if isinstance(loaded.obj, TrainingJob) and loaded.obj.spec.task.code is None:
            module = loaded.obj.spec.task.entrypoint.split(":")[0]
            package, _, name = module.rpartition(".")
            folder = importlib.util.find_spec(package.split(".")[0])
            assert folder is not None
            assert folder.submodule_search_locations
            relative = Path(*package.split(".")[1:], f"{name}.py")
            assert (Path(folder.submodule_search_locations[0]) / relative).exists(), module


@by_example
def test_it_says_what_it_shows(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize(
    "change",
    [{"kind": "Job"}, {"spec": {}}, {"extra": 1}, {"metadata": {}}, {"apiVersion": "v1"}],
    ids=str,
)
def test_editors_see_what_is_wrong(change: dict[str, Any]) -> None:
    (document,) = documents(MANIFESTS / "examples/digits-mlp.yaml")
    assert editor_errors({**document, **change})
