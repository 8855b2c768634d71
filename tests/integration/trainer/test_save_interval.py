"""`every.auto` in a real worker: an early first checkpoint, a measured cost, and an interval that follows from it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from harness import LocalRun, events, job, new_store

from sojourn_trainer.checkpointing import interval
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow


def test_saves_are_measured_and_spaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interval, "FIRST_SECONDS", 0.5)
    monkeypatch.setattr(interval, "SHORTEST_SECONDS", 1.5)
    manifest = job(
        strategy="Default",
        workers__replicas=1,
        training__steps=120,
        checkpoint__every={"auto": {"maxOverheadPercent": 50.0}},
    )
    run = LocalRun(new_store(tmp_path), manifest)
    attempt = run.attempt({"SOJOURN_TEST_PACE": "0.05"})
    assert attempt.result.outcome is Outcome.COMPLETED
    first, *later = attempt.of(events.SaveInterval)
    assert (first.reason, first.seconds) == ("FirstSave", 0.5)
    assert later, "no save was measured"
    assert all(choice.cost_seconds > 0 and choice.write_seconds > 0 for choice in later)
    assert all(choice.seconds >= 1.5 for choice in later)
    # One early, then at the interval that was chosen once it is, the last one at the end.
    commits = attempt.of(events.Committed)
    assert 1 < commits[0].step < 60
    begun = [commit.time - commit.seconds for commit in commits]
    gaps = [after - before for before, after in pairwise(begun[2:-1])]
    assert gaps
    assert all(gap > 1.4 for gap in gaps), gaps
    kept = "".join(run.store.read(info.key).decode() for info in run.store.list(f"{run.log.prefix}/history"))
    assert '"kind": "saveInterval"' in kept
