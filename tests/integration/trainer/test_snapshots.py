"""No checkpoint mixes two steps, whatever is written into the variables while it is taken and stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness
import numpy as np
import pytest
from harness import LocalRun, events, job, new_store
from stamping import MODULUS

from sojourn.checkpoint.reader import CheckpointReader
from sojourn.runlog.log import RunLog
from sojourn_trainer.driver.coordinator import Coordinator
from sojourn_trainer.workers.assignment import Outcome, Request

pytestmark = pytest.mark.tensorflow

CASES: dict[str, dict[str, Any]] = {
    "default": {"strategy": "Default", "workers__replicas": 1},
    "compiled by XLA": {"strategy": "Default", "workers__replicas": 1, "training__mode": "Fast"},
    "two replicas": {"strategy": "MirroredStrategy", "workers": {"devices": 2}},
    "two workers": {"workers__replicas": 2},
}
PER_ATTEMPT = 100


class Examiner:
    """Reads each checkpoint when it is committed, before it can be retired, and stops the attempt after enough."""

    def __init__(self, run: LocalRun, coordinator: Coordinator, wanted: int) -> None:
        self._run = run
        self._coordinator = coordinator
        self._wanted = wanted
        self.steps: list[int] = []
        self.dtypes: set[str] = set()
        self.tensors = 0
        self.mixed: list[str] = []

    def observe(self, event: events.Event) -> None:
        if not isinstance(event, events.Committed):
            return
        log = RunLog.open(self._run.store, self._run.log.prefix)
        commit = log.state.commit_at(event.step)
        assert commit is not None
        self.examine(CheckpointReader(self._run.store, log.prefix, commit), event.step)
        self.steps.append(event.step)
        if len(self.steps) == self._wanted:
            self._coordinator.ask(Request.STOP, "enough")

    def examine(self, reader: CheckpointReader, step: int) -> None:
        names = [name for name in reader.names() if not name.startswith(("input/", "callbacks/"))]
        self.tensors = len(names)
        for name in names:
            value = reader.tensor(name)
            self.dtypes.add(value.dtype.name)
            expected = step if name.endswith("/iteration") else step % MODULUS
            found = np.unique(value.astype(np.float64))
            if found.tolist() != [float(expected)]:
                self.mixed.append(f"step {step}: {name} holds {found[:4].tolist()}, not {expected}")

    def close(self) -> None:
        return


def train_and_examine(case: str, saves: int, path: Path) -> Examiner:
    """Train with a save at every boundary where none is under way, until so many checkpoints were read."""
    manifest = job(
        task__entrypoint="stamping:stamped",
        training__steps=1_000_000,
        training__globalBatchSize=4,
        checkpoint={"every": {"steps": 1}, "keepLast": 1},
        **CASES[case],
    )
    run = LocalRun(new_store(path), manifest)
    seen: list[int] = []
    while True:
        coordinator, queue = run.coordinator()
        examiner = Examiner(run, coordinator, min(PER_ATTEMPT, saves - len(seen)))
        coordinator._observers.append(examiner)  # type: ignore[attr-defined]
        attempt = run.attempt(coordinator=(coordinator, queue))
        assert attempt.result.outcome is Outcome.STOPPED, attempt.of(events.SaveFailed)
        assert examiner.mixed == []
        seen += examiner.steps
        if len(seen) >= saves:
            assert sorted(set(seen)) == seen
            return examiner


def test_checkpoints_hold_one_step(tmp_path: Path) -> None:
    """A sample; two replicas have every kind of variable, those that are only read in sync too."""
    examiner = train_and_examine("two replicas", 30, tmp_path)
    assert {"float32", "bfloat16", "float16", "int64"} <= examiner.dtypes
    assert examiner.tensors > 50


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", CASES)
def test_a_thousand_checkpoints_hold_one_step_each(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "GROUP_TIMEOUT_SECONDS", 1800)
    train_and_examine(case, 1000, tmp_path)
