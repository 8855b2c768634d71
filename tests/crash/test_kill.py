"""kill -9 at every call with which the core writer touches a store, and in the middle of every write."""

from __future__ import annotations

from pathlib import Path

import pytest

from crash.matrix import run
from crash.stories import STORIES


def test_a_sample_of_strikes(library: Path, fast_folder: Path) -> None:
    names = [story.name for story in STORIES]
    outcomes = run("crash.strikes", [*names, str(fast_folder), "--every", "101", "--offset", "31"], library)
    assert {outcome["story"] for outcome in outcomes} == set(names)
    assert [outcome for outcome in outcomes if outcome["problem"]] == []


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("story", [story.name for story in STORIES])
def test_every_strike(story: str, library: Path, fast_folder: Path) -> None:
    outcomes = run("crash.strikes", [story, str(fast_folder)], library)
    assert len(outcomes) >= 200
    assert [outcome for outcome in outcomes if outcome["problem"]] == []
