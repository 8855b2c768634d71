"""The guide on tasks shows files that tests train, word for word."""

from __future__ import annotations

import difflib
import re
import textwrap
from pathlib import Path

import pytest

from sojourn.api import TrainingJob, load_manifests

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
GUIDE = (ROOT / "docs" / "guides" / "write-a-task.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def changes(lines: list[str]) -> tuple[list[str], list[str]]:
    """Lines taken away and lines added, in order, blank ones left out."""
    taken, added = ([line[1:] for line in lines if line[:1] == sign and line[1:].strip()] for sign in "-+")
    return taken, added


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.split("(")[0])
def test_shown_code_is_that_of_the_example(code: str) -> None:
    assert f"\n{code}" in (EXAMPLES / "tasks.py").read_text()


def test_the_guide_on_data_shows_the_writer_and_the_examples_of_tests() -> None:
    guide = (ROOT / "docs/guides/data.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert code in (EXAMPLES / "records.py").read_text()
    example = (ROOT / "manifests/examples/csv-cleaned.yaml").read_text()
    shown = re.search(r"^```yaml\n(fillMissing:.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert shown
    assert textwrap.indent(shown[1], "    ") in example


def test_something_is_shown() -> None:
    assert len(blocks("python")) >= 5


def test_the_scripts_differ_in_the_lines_shown_and_no_others() -> None:
    (shown,) = blocks("diff")
    before, after = ((EXAMPLES / f"script_{when}.py").read_text().splitlines() for when in ("before", "after"))
    real = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    assert changes(shown.splitlines()) == changes(real)


def test_the_manifest_has_what_the_script_no_longer_says() -> None:
    (loaded,) = load_manifests(EXAMPLES / "script.yaml")
    assert isinstance(loaded.obj, TrainingJob)
    training = loaded.obj.spec.training
    before = (EXAMPLES / "script_before.py").read_text()
    assert f"batch_size={training.global_batch_size}" in before
    assert f"epochs={training.epochs}" in before
