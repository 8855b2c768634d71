"""A store on a file system that is really full: training goes on, or ends with its reason; what is committed stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Attempt, LocalRun, events, job, new_store

from helpers.small_disk import small_disk
from sojourn.checkpoint.verify import verify_run
from sojourn_trainer.driver.coordinator import Coordinator
from sojourn_trainer.driver.observers import EventQueue, files_of_run
from sojourn_trainer.driver.timing import Clocks
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB for the test alone."""
    with small_disk(tmp_path / "small", "4m") as made:
        yield made


class Filler:
    """Fills the disk at a step with whatever else lies on it, and makes room again at another."""

    def __init__(self, disk: Path, full_at: int, room_at: int) -> None:
        self._file = disk / "filler"
        self._full_at = full_at
        self._room_at = room_at

    def observe(self, event: events.Event) -> None:
        if not isinstance(event, events.Progress):
            return
        if self._full_at <= event.step < self._room_at:
            self.fill()
        elif event.step >= self._room_at:
            self._file.unlink(missing_ok=True)

    def fill(self) -> None:
        """Take what is left, to the last byte."""
        with self._file.open("ab", buffering=0) as out:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        out.write(b"x" * size)
                except OSError:
                    continue

    def close(self) -> None:
        return


def train(disk: Path, steps: int, full_at: int, room_at: int) -> tuple[LocalRun, Attempt]:
    """A run on the disk, watched as a driver watches it."""
    manifest = job(
        task__entrypoint="models_for_tests:impatient",
        strategy="Default",
        workers__replicas=1,
        training__steps=steps,
        checkpoint__keepLast=2,
    )
    run = LocalRun(new_store(disk / "store"), manifest)
    queue = EventQueue()
    tensorboard = disk / "store" / run.log.prefix / "tensorboard"
    observers = [*files_of_run(run.store, run.log.prefix, tensorboard), Filler(disk, full_at, room_at), queue]
    clocks = Clocks(sleep=lambda seconds: None)
    control = Coordinator(run.job, run.log, observers, clocks)
    return run, run.attempt({"SOJOURN_TEST_PACE": "0.1"}, (control, queue))


def test_training_outlives_a_disk_that_is_full_for_a_while(disk: Path) -> None:
    run, attempt = train(disk, steps=40, full_at=8, room_at=22)
    assert attempt.result.outcome is Outcome.COMPLETED
    failed = attempt.of(events.SaveFailed)
    assert failed
    assert all("No space left on device" in event.error for event in failed)
    committed = [event.step for event in attempt.of(events.Committed)]
    assert committed[0] == 5
    assert committed[-1] == 40
    assert not any(15 <= step < 22 for step in committed)
    assert not verify_run(run.log).problems
    folder = disk / "store" / run.log.prefix
    rows = [json.loads(row) for file in (folder / "history").iterdir() for row in file.read_text().splitlines()]
    assert max(row["step"] for row in rows) == 40
    assert list((folder / "tensorboard").iterdir())


def test_a_job_whose_disk_stays_full_ends_with_the_reason(disk: Path) -> None:
    run, lost = train(disk, steps=25, full_at=8, room_at=1000)
    assert lost.exit_codes == [1]
    assert lost.result.outcome is None
    failed = lost.of(events.SaveFailed)
    assert failed[-1].step == 25
    assert "No space left on device" in failed[-1].error
    committed = [commit.step for commit in run.log.state.commits]
    assert committed[0] == 5
    assert committed[-1] < 15  # training is ahead of what it has last reported
    assert not verify_run(run.log).problems
    (disk / "filler").unlink()
    again = run.attempt()
    assert again.result.outcome is Outcome.COMPLETED
    assert again.of(events.Started)[0].restored_step == committed[-1]
