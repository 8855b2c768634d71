"""Failing calls in place of death: the process gets an error with a name, and can save again once the fault is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from crash.matrix import run
from crash.stories import STORIES


@pytest.mark.parametrize("story", ["train", "move"])
def test_a_sample_of_faults(story: str, library: Path, fast_folder: Path) -> None:
    outcomes = run("crash.faults", [story, str(fast_folder), "--every", "97", "--offset", "13"], library)
    assert len(outcomes) >= 10
    assert [outcome for outcome in outcomes if outcome["problem"]] == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("story", [story.name for story in STORIES])
def test_every_fault(story: str, library: Path, fast_folder: Path) -> None:
    outcomes = run("crash.faults", [story, str(fast_folder)], library)
    assert len(outcomes) >= 1000
    assert [outcome for outcome in outcomes if outcome["problem"]] == []
