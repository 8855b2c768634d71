"""What is wrong with a manifest, said so that the reader can mend it: where, what was found, what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sojourn.errors import InvalidInput


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text; both numbers count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a manifest.

    Args:
        file: as it was given; "<stdin>" for standard input.
        at: where the offending value, or unknown name, starts.
        field: path of the field, such as spec.training.epochs; "" for the document.
        message: what is wrong.
        expected: what would be right, or "".
        advice: the nearest valid word or another way to mend it, or "".
    """

    file: str
    at: Position
    field: str
    message: str
    expected: str = ""
    advice: str = ""

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        lines = [f"{self.file}:{self.at.line}:{self.at.column}: {field}{self.message}"]
        lines += [f"    expected: {self.expected}"] if self.expected else []
        lines += [f"    {self.advice}"] if self.advice else []
        return "\n".join(lines)


class InvalidManifest(InvalidInput):
    """A manifest that cannot be accepted; `problems` holds everything that is wrong with it, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        files = sorted({problem.file for problem in problems})
        count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        listed = "\n".join(str(problem) for problem in problems)
        super().__init__(f"{count} in {', '.join(files)}\n{listed}")


def field_path(path: Sequence[str | int]) -> str:
    """("spec", "export", "formats", 0) -> "spec.export.formats[0]"."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
