"""Validation that goes on after the first error, so that one look at the output is enough.

What pydantic reports is mended in a copy: a misspelt name or word becomes the one it was probably meant to be, a bad
value is taken out, a missing one is replaced by its example. The copy is validated again until nothing new comes up.
"""

from __future__ import annotations

import copy
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sojourn.api import advice
from sojourn.api.base import Model, Rule
from sojourn.api.explain import Found, explain
from sojourn.api.problems import Problem
from sojourn.api.yaml_tree import Document, Path

M = TypeVar("M", bound=Model)

_MAX_ROUNDS: Final = 50


def check(model: type[M], data: dict[str, Any], document: Document, base: Path) -> tuple[M | None, list[Problem]]:
    """Validate one object of a document.

    Args:
        model: what the object has to be.
        data: plain data; left as it is.
        document: where the data is from, for positions.
        base: path of the object within the document.

    Returns:
        The object if nothing is wrong with it, and everything that is wrong.
    """
    mended = _Mended(model, copy.deepcopy(data), document, base)
    problems: list[Problem] = []
    for _ in range(_MAX_ROUNDS):
        try:
            valid = model.from_manifest(mended.data, known_broken=mended.broken)
        except ValidationError as error:
            errors = _without_echoes(error.errors(include_url=False))
            moved = mended.homes(errors)
            new = [details for details in errors if not mended.expected(details, moved)]
            problems += [explain(Found(model, details, document, base)) for details in new]
            if not [details for details in errors if mended.mend(details, moved)]:
                break
        else:
            return (None if problems else valid), problems
    return None, problems


class _Mended:
    """The copy that is validated, and what has been done to it."""

    def __init__(self, model: type[Model], data: dict[str, Any], document: Document, base: Path) -> None:
        self.model, self.data, self.document, self.base = model, data, document, base
        self.replaced: set[Path] = set()
        self.broken: set[Rule] = set()

    def homes(self, errors: list[ErrorDetails]) -> dict[Path, Path]:
        """Unknown fields of these errors that can be moved to where they were probably meant to be."""
        found: dict[Path, Path] = {}
        for details in errors:
            home = advice.home_of(self.model, details["loc"]) if details["type"] == "extra_forbidden" else None
            if home is not None and home not in found.values() and _get(self.data, home) is None:
                found[details["loc"]] = home
        return found

    def expected(self, details: ErrorDetails, moved: dict[Path, Path]) -> bool:
        """Whether an error follows from one that is reported already, or is mended by a move."""
        path = details["loc"]
        if _arrives(details, moved):
            return True
        read = [path]
        if details["type"] == "rule":
            rule: Rule = details["ctx"]["rule"]
            owner = path[: len(path) - len(rule.at)]
            read = [(*owner, name) for name in rule.reads]
        return any(_related(one, other) for one in read for other in self.replaced)

    def mend(self, details: ErrorDetails, moved: dict[Path, Path]) -> bool:
        """Make an error go away; False if that is beyond us."""
        path, value = details["loc"], details["input"]
        match details["type"]:
            case "rule":
                self.broken.add(details["ctx"]["rule"])
                return True
            case "extra_forbidden":
                if path in moved:
                    self.document.rename((*self.base, *path), (*self.base, *moved[path]))
                    _put(self.data, moved[path], value)
                _remove(self.data, path)
                return True
            case "missing" if _arrives(details, moved):
                return True
            case "missing":
                self.replaced.add(path)
                return _put_example(self.model, self.data, path)
            case "literal_error" if meant := advice.nearest(str(value), advice.words_at(self.model, path)):
                _put(self.data, path, meant)
                return True
            case _:
                while path and isinstance(path[-1], int):
                    path = path[:-1]
                self.replaced.add(path)
                return _remove(self.data, path)


def _arrives(details: ErrorDetails, moved: dict[Path, Path]) -> bool:
    """Whether a field is missing only until a misplaced one is moved there."""
    path = details["loc"]
    return details["type"] == "missing" and any(home[: len(path)] == path for home in moved.values())


def _without_echoes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are called too short only because pydantic does not count their bad entries."""
    paths = [details["loc"] for details in errors]
    return [
        details
        for details in errors
        if details["type"] != "too_short"
        or not any(len(path) > len(details["loc"]) and _related(path, details["loc"]) for path in paths)
    ]


def _related(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _get(data: Any, path: Path) -> Any:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _put(data: Any, path: Path, value: Any) -> bool:
    parent = data
    for length in range(1, len(path)):
        if isinstance(parent, dict):
            parent.setdefault(path[length - 1], {})
        parent = _get(parent, path[length - 1 : length])
    holder: Any = parent if isinstance(parent, dict | list) else None
    if holder is None:
        return False
    holder[path[-1]] = value
    return True


def _put_example(model: type[Model], data: Any, path: Path) -> bool:
    if advice.model_at(model, path) is not None:
        return _put(data, path, {})
    inner = advice.model_at(model, path[:-1])
    examples = advice.infos_of(inner)[str(path[-1])].examples if inner else None
    return bool(examples) and _put(data, path, examples[0] if examples else None)


def _remove(data: Any, path: Path) -> bool:
    parent = _get(data, path[:-1])
    return isinstance(parent, dict) and parent.pop(path[-1], None) is not None
