"""Failing calls in place of death: the process gets an error with a name, and can save again once the fault is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from crash.faults import FAULTS
from crash.matrix import run
from crash.stories import STORIES


def test_a_sample_of_faults(library: Path, fast_folder: Path) -> None:
    outcomes = run("crash.faults", ["train", "move", str(fast_folder), "--every", "151", "--offset", "13"], library)
    assert {outcome["action"] for outcome in outcomes} == {fault.name for fault in FAULTS}
    assert [outcome for outcome in outcomes if outcome["problem"]] == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("story", [story.name for story in STORIES])
def test_every_fault(story: str, library: Path, fast_folder: Path) -> None:
    outcomes = run("crash.faults", [story, str(fast_folder)], library)
    assert len(outcomes) >= 1000
    assert [outcome for outcome in outcomes if outcome["problem"]] == []
