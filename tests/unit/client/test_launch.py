"""What is looked after before a node starts: the packages it needs, and the logs of those before it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sojourn.client.launch import KEEP_LOGS_SECONDS, prune_logs
from sojourn.errors import SojournError
from sojourn_serving.cli.export import export
from sojourn_serving.cli.serve import serve


def test_logs_that_nobody_wrote_to_for_a_month_go(tmp_path: Path) -> None:
    now = 10.0 * KEEP_LOGS_SECONDS
    for name, job_age, log_age in [("old", 2.0, 1.5), ("long", 2.0, 0.5), ("new", 0.1, None), ("begun", 1.5, None)]:
        folder = tmp_path / name
        folder.mkdir()
        for file, age in [("job.json", job_age), ("node.log", log_age)]:
            if age is not None:
                (folder / file).touch()
                os.utime(folder / file, (now - age * KEEP_LOGS_SECONDS,) * 2)
    (tmp_path / "notes").mkdir()
    prune_logs(tmp_path, now)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long", "new", "notes"]


@pytest.mark.parametrize("verb", [serve, export])
def test_a_base_install_says_what_to_install(verb: click.Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    error = CliRunner().invoke(verb, ["digits"]).exception
    assert isinstance(error, SojournError)
    assert error.hint == "Install them with: pip install 'sojourn[serving]'"
