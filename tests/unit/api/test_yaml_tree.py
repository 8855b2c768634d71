"""YAML becomes JSON data whose every key and value has a position."""

from __future__ import annotations

import pytest

from sojourn.api.problems import Position
from sojourn.api.yaml_tree import MAX_NODES, read_documents

TEXT = """\
a: 1
b:
  - x: true
    y: "2"
base: &base {p: 1, q: 2}
derived:
  <<: *base
  q: 3
"""


def test_data_and_positions() -> None:
    (document,) = read_documents(TEXT, "f")
    assert document.problems == []
    assert document.data == {
        "a": 1,
        "b": [{"x": True, "y": "2"}],
        "base": {"p": 1, "q": 2},
        "derived": {"p": 1, "q": 3},
    }
    assert document.position(("b", 0, "y")) == Position(4, 8)
    assert document.position(("b", 0, "y"), of_key=True) == Position(4, 5)
    assert document.position(("derived", "q")) == Position(8, 6)
    assert document.position(("b", 0, "absent", "deeper"), of_key=True) == Position(3, 5)
    assert document.position(("absent",)) == Position(1, 1)


@pytest.mark.parametrize(
    ("text", "words", "at"),
    [
        ("a: 1\na: 2", "twice", Position(2, 1)),
        ("a: .nan", "not a JSON number", Position(1, 4)),
        ("a: -.inf", "not a JSON number", Position(1, 4)),
        ("a: !!binary aGk=", "not supported", Position(1, 4)),
        ("on: 1", "reads the key on as a bool", Position(1, 1)),
        ("? [a]\n: 1", "a key is a list", Position(1, 3)),
        ("a: &x [*x]", "contains itself", Position(1, 4)),
        ("a: {<<: 3}", "can only merge mappings", Position(1, 9)),
        ("a: *unknown", "not valid YAML", Position(1, 4)),
        ("a: [1,\nb: 2\n", "flow sequence that starts in line 1", Position(3, 1)),
        ("a: \x07", "not valid YAML", Position(1, 1)),
    ],
)
def test_problems(text: str, words: str, at: Position) -> None:
    problems = [problem for document in read_documents(text, "f") for problem in document.problems]
    assert len(problems) == 1, problems
    assert words in problems[0].message
    if at != Position(1, 1):
        assert problems[0].at == at


def test_scalars_that_are_not_json_stay_text() -> None:
    (document,) = read_documents("[12:30:45, 2025-01-31, 1:30.5, 0x10, 1e3, 1.0e+3, 010, ~]", "f")
    assert document.data == ["12:30:45", "2025-01-31", "1:30.5", 16, "1e3", 1000.0, 8, None]


def test_documents_before_a_syntax_error_are_read() -> None:
    first, second = read_documents("a: 1\n---\nb: [", "f")
    assert first.data == {"a": 1}
    assert second.problems


def test_references_cannot_multiply_without_end() -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    (document,) = read_documents(f"a0: &a0 [x]\n{levels}", "f")
    assert [problem.message for problem in document.problems] == [f"more than {MAX_NODES} values in one document"]
