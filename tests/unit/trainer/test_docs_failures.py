"""docs/concepts/failures.md names a test that is there for every failure."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
PAGE = (TESTS.parent / "docs" / "concepts" / "failures.md").read_text()
WITHOUT = ["a pod runs out of memory"]


def rows() -> list[tuple[str, str]]:
    """What fails and where that is tested: first and last cells, without those of headings."""
    lines = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return [(cells[0].strip(), cells[-1].strip()) for cells in lines if cells[-1].strip() != "tested in"]


def test_every_failure_has_a_test() -> None:
    assert len(rows()) > 35
    assert [what for what, where in rows() if where == "-"] == WITHOUT


def test_the_tests_are_there() -> None:
    named = [name for _, where in rows() for name in re.findall(r"`([^`]*/[^`]*)`", where)]
    assert len(named) > 40
    places = (TESTS.parent, TESTS, TESTS / "integration")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
