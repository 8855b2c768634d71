"""Manifests from files and standard input, or everything that is wrong with them at once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final, get_args

from sojourn.api.advice import nearest
from sojourn.api.check import check
from sojourn.api.checkpoint import Checkpoint
from sojourn.api.checkpoint_store import CheckpointStore
from sojourn.api.checkpoint_transfer import CheckpointTransfer
from sojourn.api.explain import one_of
from sojourn.api.meta import API_VERSION
from sojourn.api.migration import Migration
from sojourn.api.model_server import ModelServer
from sojourn.api.problems import InvalidManifest, Position, Problem, field_path
from sojourn.api.remote_cluster import RemoteCluster
from sojourn.api.training_attempt import TrainingAttempt
from sojourn.api.training_job import TrainingJob
from sojourn.api.yaml_tree import Document, Path, read_documents
from sojourn.errors import InvalidInput, NotFound

Resource = (
    TrainingJob
    | CheckpointStore
    | Checkpoint
    | RemoteCluster
    | Migration
    | ModelServer
    | CheckpointTransfer
    | TrainingAttempt
)
KINDS: Final[dict[str, type[Resource]]] = {model.__name__: model for model in get_args(Resource)}


@dataclass(frozen=True, slots=True)
class Loaded:
    """An object and where it was written (lines count from 1)."""

    obj: Resource
    file: str
    line: int


def load_manifests(source: str | FilePath) -> list[Loaded]:
    """Read every object of a YAML or JSON file; "-" is standard input.

    Raises:
        InvalidManifest: something is wrong; it carries all problems of the file.
        NotFound: there is no such file.
        InvalidInput: the file cannot be read.
    """
    name = "<stdin>" if str(source) == "-" else str(source)
    try:
        text = sys.stdin.read() if str(source) == "-" else FilePath(source).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {name}", hint="Give the path of a manifest, or - for stdin.") from error
    except UnicodeDecodeError as error:
        at = Position(error.object[: error.start].count(b"\n") + 1, 1)
        raise InvalidManifest([Problem(name, at, "", f"not UTF-8 text ({error.reason})")]) from error
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}") from error
    return parse(text, name)


def parse(text: str, file: str = "<text>") -> list[Loaded]:
    """Read every object of a YAML text. `file` is the name that messages use.

    Raises:
        InvalidManifest: something is wrong; it carries all problems of the text.
    """
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for document in read_documents(text, file):
        problems += document.problems
        if document.data is not None:
            _collect(document, (), document.data, loaded, problems)
    if problems:
        raise InvalidManifest(sorted(problems, key=lambda problem: problem.at))
    return loaded


def _collect(document: Document, path: Path, data: Any, loaded: list[Loaded], problems: list[Problem]) -> None:
    at = document.values.get(path, document.start)
    if not isinstance(data, dict):
        problems.append(
            Problem(document.file, at, field_path(path), "not an object", "a mapping with apiVersion, kind")
        )
        return
    if data.get("kind") == "List" and isinstance(data.get("items"), list):
        for index, item in enumerate(data["items"]):
            _collect(document, (*path, "items", index), item, loaded, problems)
        return
    kind = _identify(document, path, data, problems)
    if kind is None:
        return
    obj, found = check(KINDS[kind], {**data, "apiVersion": API_VERSION, "kind": kind}, document, path)
    problems += found
    if obj is not None:
        loaded.append(Loaded(obj, document.file, at.line))


def _identify(document: Document, path: Path, data: dict[str, Any], problems: list[Problem]) -> str | None:
    """The kind of an object, also where it is misspelt; apiVersion and kind are reported on the way."""

    def report(name: str, message: str, expected: str, advice: str = "") -> None:
        at = document.position((*path, name))
        problems.append(Problem(document.file, at, field_path((*path, name)), message, expected, advice))

    kind, version = data.get("kind"), data.get("apiVersion")
    meant = nearest(str(kind), KINDS) if kind else None
    if version is None:
        report("apiVersion", "required field is missing", API_VERSION)
    elif version != API_VERSION:
        report("apiVersion", f"unknown version {version!r}", API_VERSION)
    if kind is None:
        report("kind", "required field is missing", one_of(tuple(KINDS)))
    elif kind not in KINDS:
        report("kind", f"unknown kind {kind!r}", one_of(tuple(KINDS)), f"Did you mean {meant}?" if meant else "")
    return meant
