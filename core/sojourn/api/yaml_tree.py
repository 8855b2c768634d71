"""YAML to plain JSON data, with the position of every key and value.

The subset is what both YAML libraries of kubectl and of Python read alike: JSON's types only, no duplicate keys,
no base-60 numbers, no timestamps. What is outside becomes a problem with a position, not a surprise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import yaml

from sojourn.api.problems import Position, Problem, field_path

Path = tuple[str | int, ...]

MAX_NODES: Final = 100_000
_TAG: Final = "tag:yaml.org,2002:"
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+([.][0-9_]*)?")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Document:
    """One document of a file: its data, and where each part of it is written."""

    file: str
    data: Any = None
    start: Position = field(default_factory=lambda: Position(1, 1))
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def position(self, path: Path, *, of_key: bool = False) -> Position:
        """Where `path` is written; for what is not there, its nearest parent."""
        first, second = (self.keys, self.values) if of_key else (self.values, self.keys)
        for length in range(len(path), 0, -1):
            part = path[:length]
            if length < len(path):
                first, second = self.keys, self.values
            if found := first.get(part) or second.get(part):
                return found
        return self.start

    def rename(self, old: Path, new: Path) -> None:
        """Let what is written at `old` be found at `new` as well."""
        for table in (self.keys, self.values, self.written):
            for path in [path for path in table if path[: len(old)] == old]:
                table[(*new, *path[len(old) :])] = table[path]  # type: ignore[assignment]


def read_documents(text: str, file: str) -> Iterator[Document]:
    """Documents of a YAML text, in order, empty ones left out. After a syntax error, one document that reports it."""
    try:
        for node in yaml.compose_all(text, Loader=_LOADER):
            if node is None or (node.tag == f"{_TAG}null" and not node.value):
                continue
            yield _Reader(file).read(node)
    except yaml.YAMLError as error:
        yield _syntax_error(error, file)


def _syntax_error(error: yaml.YAMLError, file: str) -> Document:
    document = Document(file)
    at, message = Position(1, 1), str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        if mark := error.problem_mark or error.context_mark:
            at = _position(mark)
        context = error.context
        if context and error.context_mark and error.context_mark.line + 1 != at.line:
            context += f" that starts in line {error.context_mark.line + 1}"
        message = ", ".join(part for part in (context, error.problem) if part)
    elif isinstance(error, yaml.reader.ReaderError):
        message = f"{error.reason} (character {error.position})"
    advice = "Indent with spaces." if "cannot start any token" in message else ""
    document.problems.append(Problem(file, at, "", f"not valid YAML: {message}", advice=advice))
    return document


def _position(mark: yaml.Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


class _Reader:
    """Converts one document's nodes."""

    def __init__(self, file: str) -> None:
        self.document = Document(file)
        self.open: set[int] = set()
        self.count = 0

    def read(self, node: yaml.Node) -> Document:
        self.document.start = _position(node.start_mark)
        self.document.data = self._value(node, ())
        return self.document

    def _report(self, node: yaml.Node, path: Path, message: str, *, advice: str = "", expected: str = "") -> None:
        at = _position(node.start_mark)
        self.document.problems.append(Problem(self.document.file, at, field_path(path), message, expected, advice))

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self.document.values[path] = _position(node.start_mark)
        self.count += 1
        if self.count > MAX_NODES or id(node) in self.open:
            if self.count <= MAX_NODES:
                self._report(node, path, "an anchor contains itself")
            elif self.count == MAX_NODES + 1:
                self._report(node, path, f"more than {MAX_NODES} values in one document")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(cast(yaml.MappingNode, node), path)
        finally:
            self.open.remove(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        own: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                self._merge(value_node, path, result)
        for key_node, value_node in node.value:
            key = None if key_node.tag == f"{_TAG}merge" else self._key(key_node, path)
            if key is None:
                continue
            here = (*path, key)
            if key in own:
                first = self.document.keys[here]
                self._report(key_node, here, "the key is there twice", advice=f"The first is in line {first.line}.")
                continue
            own.add(key)
            self.document.keys[here] = _position(key_node.start_mark)
            result[key] = self._value(value_node, here)
        return result

    def _merge(self, node: yaml.Node, path: Path, result: dict[str, Any]) -> None:
        start = self.document.values[path]
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                self._report(source, path, "'<<' can only merge mappings")
                continue
            result |= {key: value for key, value in self._value(source, path).items() if key not in result}
        self.document.values[path] = start

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag in (f"{_TAG}str", f"{_TAG}int"):
            return str(node.value)
        if isinstance(node, yaml.ScalarNode):
            kind = node.tag.removeprefix(_TAG)
            self._report(
                node, path, f"YAML reads the key {node.value} as a {kind}", advice=f'Write "{node.value}" with quotes.'
            )
        else:
            self._report(node, path, "a key is a list or a mapping", expected="a string")
        return None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if not node.style:
            self.document.written[path] = text
        if kind in ("int", "float") and _BASE_60.fullmatch(text):
            return text
        match kind:
            case "str" | "timestamp":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() in ("true", "yes", "on")
            case "int" | "float":
                return self._number(node, text, path)
            case _:
                self._report(node, path, f"the tag {node.tag} is not supported", expected="plain YAML without tags")
                return None

    def _number(self, node: yaml.ScalarNode, text: str, path: Path) -> Any:
        constructor = yaml.constructor.SafeConstructor()
        if node.tag == f"{_TAG}int":
            return constructor.construct_yaml_int(node)
        number = constructor.construct_yaml_float(node)
        if not math.isfinite(number):
            self._report(node, path, f"{text} is not a JSON number", expected="a finite number")
            return None
        return number
