"""From pydantic's error codes to sentences about a manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import ErrorDetails

from sojourn.api import advice
from sojourn.api.base import Model, Rule
from sojourn.api.patterns import MEANINGS
from sojourn.api.problems import Problem, field_path
from sojourn.api.yaml_tree import Document, Path

_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "finite_number": "a finite number",
}
_TIMES: Final = ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware")


@dataclass(frozen=True, slots=True)
class Found:
    """One error of one object, with what is needed to explain it; paths of `details` start at the object."""

    model: type[Model]
    details: ErrorDetails
    document: Document
    base: Path

    @property
    def path(self) -> Path:
        """Path from the object."""
        return self.details["loc"]

    def problem(self, message: str, expected: str = "", hint: str = "", *, of_key: bool = False) -> Problem:
        """The problem at this place."""
        path = (*self.base, *self.path)
        at = self.document.position(path, of_key=of_key)
        return Problem(self.document.file, at, field_path(path), message, expected, hint)


def explain(found: Found) -> Problem:  # noqa: PLR0911
    """What a person should read about an error."""
    kind, value, context = found.details["type"], found.details["input"], found.details.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return _unknown_field(found)
        case "missing":
            return found.problem("required field is missing", _about(found), of_key=True)
        case "rule":
            return _broken_rule(found, context["rule"])
        case "literal_error":
            words = advice.words_at(found.model, found.path)
            meant = advice.nearest(str(value), words)
            hint = f"Did you mean {meant}?" if meant else _surprise(found, value)
            return found.problem(f"found {_shown(value)}", one_of(words), hint)
        case "string_pattern_mismatch":
            return found.problem(f"found {_shown(value)}", MEANINGS.get(context["pattern"], context["pattern"]))
        case "quantity_float":
            hint = f'Write "{value}" with quotes: Kubernetes accepts whole numbers and strings.'
            return found.problem(f"found the number {value}", "a whole number or a string", hint)
        case _ if kind in _TIMES:
            return found.problem(f"found {_shown(value)}", "a time with its zone, such as 2025-01-31T12:00:00Z")
        case _ if kind in _EXPECTED:
            return found.problem(f"found {_shown(value)}", _EXPECTED[kind].format(**context), _surprise(found, value))
        case _:
            return found.problem(f"found {_shown(value)}: {found.details['msg']}")


def _unknown_field(found: Found) -> Problem:
    *parent, name = found.path
    inner = advice.model_at(found.model, parent)
    home = advice.home_of(found.model, found.path)
    if home is None:
        return found.problem("unknown field", one_of(tuple(advice.fields_of(inner))) if inner else "", of_key=True)
    if list(home[:-1]) == parent:
        return found.problem("unknown field", "", f"Did you mean {home[-1]}?", of_key=True)
    where = f"under {field_path(home[:-1])}"
    hint = f"{name} belongs {where}." if home[-1] == name else f"Did you mean {home[-1]}, {where}?"
    return found.problem("unknown field", "", hint, of_key=True)


def _broken_rule(found: Found, rule: Rule) -> Problem:
    if not rule.exclusive:
        return found.problem(rule.message)
    written = found.document.keys
    present = [name for name in rule.touches if (*found.base, *found.path, name) in written]
    listed = " and ".join(present) if present else "none of them"
    if len(present) < 2:
        return found.problem(f"{rule.message}; found {listed}")
    problem = found.problem(f"{rule.message}; found {listed}")
    second = written[(*found.base, *found.path, present[1])]
    return Problem(problem.file, second, problem.field, problem.message)


def _about(found: Found) -> str:
    """The words a missing field accepts, or the first sentence of its description."""
    if words := advice.words_at(found.model, found.path):
        return one_of(words)
    inner = advice.model_at(found.model, found.path[:-1])
    infos = advice.infos_of(inner) if inner else {}
    info = infos.get(str(found.path[-1]))
    return (info.description or "").split(". ")[0].rstrip(".") if info else ""


def _surprise(found: Found, value: Any) -> str:
    """Why YAML read something else than what was probably meant."""
    text = found.document.written.get((*found.base, *found.path))
    kind = found.details["type"]
    if isinstance(value, bool) and kind in ("string_type", "literal_error"):
        return f'YAML reads {text} without quotes as {_shown(value)}; write "{text}".'
    if isinstance(value, int | float) and kind == "string_type":
        return f'YAML reads {text} without quotes as a number; write "{text}".'
    if isinstance(value, str) and text is None and kind in ("int_type", "float_type", "bool_type"):
        return "Write it without quotes."
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def one_of(words: tuple[str, ...]) -> str:
    """A choice between words: "a, b or c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
