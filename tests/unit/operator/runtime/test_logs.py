"""Log lines: what a collector of logs, and a person at a terminal, reads."""

from __future__ import annotations

import json
import logging
import sys

from sojourn_operator.runtime.logs import JsonFormatter, TextFormatter


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("sojourn_operator.test").makeRecord(
        "sojourn_operator.test", logging.WARNING, "file.py", 1, message, arguments, None, extra=extra
    )


def test_one_object_per_line_with_the_extra_fields_beside_the_message() -> None:
    made = record("cannot be %s", "written", key="team/digits", cause=ValueError("two\nlines"))
    made.created = 1767225600.25
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.250+00:00",
        "level": "warning",
        "logger": "sojourn_operator.test",
        "message": "cannot be written",
        "key": "team/digits",
        "cause": "two\nlines",
    }


def test_a_traceback_stays_on_the_line_of_its_error() -> None:
    made = record("failed")
    try:
        raise KeyError("spec")
    except KeyError:
        made.exc_info = sys.exc_info()
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert json.loads(line)["traceback"].endswith("KeyError: 'spec'")
    assert TextFormatter().format(made).endswith("KeyError: 'spec'")


def test_for_a_terminal() -> None:
    line = TextFormatter().format(record("failed", key="team/digits"))
    assert line.endswith("WARNING failed key=team/digits")
