"""A store that fails for a while costs checkpoints, never training; a full disk leaves nothing half-written."""

from __future__ import annotations

import errno
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from harness import LocalRun, events, job, new_store

from sojourn.checkpoint.shard import ShardReport
from sojourn.errors import StoreError
from sojourn.store.base import Writer
from sojourn.store.posix import PosixStore
from sojourn_trainer.checkpointing.saver import Saver, SaverSettings, ShardPlace
from sojourn_trainer.workers.assignment import Outcome, SaveId, ShardSaved

pytestmark = pytest.mark.tensorflow


class Flaky(PosixStore):
    """A directory whose disk is full for the first `failures` writes of large objects."""

    def __init__(self, root: Path, failures: int) -> None:
        super().__init__(root)
        self.failures = failures

    def open_writer(self, key: str) -> AbstractContextManager[Writer]:
        if self.failures > 0:
            self.failures -= 1
            raise StoreError(f"cannot write {key}: {OSError(errno.ENOSPC, 'No space left on device')}")
        return super().open_writer(key)


class Heard:
    """The coordinator's side, written down."""

    def __init__(self) -> None:
        self.saved: list[ShardReport] = []
        self.failed: list[str] = []

    def shard_saved(self, save: SaveId, shard: ShardSaved, meta: object) -> None:
        self.saved.append(ShardReport.from_json(dict(shard.report)))

    def save_failed(self, save: SaveId, rank: int, error: str) -> None:
        self.failed.append(error)


class NoMemory(PosixStore):
    """Whoever writes to it finds no memory, which is no error of a store."""

    def open_writer(self, key: str) -> AbstractContextManager[Writer]:
        raise MemoryError("no buffer")


class NoState:
    """A pool without variables."""

    def take(self, extra: object) -> list[object]:
        return []


@pytest.mark.parametrize(("failures", "saved", "pauses"), [(2, 1, [0.5, 1.0]), (9, 0, [0.5, 1.0, 2.0])])
def test_a_shard_is_tried_again_with_growing_pauses(
    failures: int, saved: int, pauses: list[float], tmp_path: Path
) -> None:
    heard, slept = Heard(), []
    place = ShardPlace(Flaky(tmp_path, failures), "run", rank=1, workers=2)
    saver = Saver(place, NoState(), heard, SaverSettings(pauses=(0.5, 1.0, 2.0)), slept.append)  # type: ignore[arg-type]
    saver.save(SaveId(5, 1, "data/5-1-x"), None, {})
    failure = saver.wait()
    assert slept == pauses
    assert len(heard.saved) == saved
    assert (failure is None) == bool(saved)
    assert [("No space left" in text) for text in heard.failed] == [True] * (1 - saved)
    assert len(list(tmp_path.rglob("ckpt.data*"))) == saved


def test_a_save_that_ends_in_any_other_way_has_failed_too(tmp_path: Path) -> None:
    heard = Heard()
    saver = Saver(ShardPlace(NoMemory(tmp_path), "run", rank=0, workers=2), NoState(), heard, SaverSettings())  # type: ignore[arg-type]
    saver.save(SaveId(5, 1, "data/5-1-x"), None, {})
    assert saver.wait() == "MemoryError: no buffer"
    assert heard.failed == ["MemoryError: no buffer"]
    assert saver.seconds is None


def test_a_save_whose_coordinator_is_lost_has_failed(tmp_path: Path) -> None:
    class Lost(Heard):
        def shard_saved(self, save: SaveId, shard: ShardSaved, meta: object) -> None:
            raise RuntimeError("the actor died")

        def save_failed(self, save: SaveId, rank: int, error: str) -> None:
            self.failed.append(error)

    heard = Lost()
    saver = Saver(ShardPlace(PosixStore(tmp_path), "run", rank=0, workers=1), NoState(), heard, SaverSettings())  # type: ignore[arg-type]
    saver.save(SaveId(5, 1, "data/5-1-x"), None, {})
    assert saver.wait() == "RuntimeError: the actor died"
    assert heard.failed == ["RuntimeError: the actor died"]


def test_commits_that_fail_for_a_while_are_made_up_for(tmp_path: Path) -> None:
    """The run's data folder turns into a file, as on a broken mount, and comes back while training goes on."""
    run = LocalRun(new_store(tmp_path), job(strategy="Default", workers__replicas=1, training__steps=40))
    data = tmp_path / run.log.prefix / "data"
    data.write_text("in the way")
    control = run.coordinator()

    class Mend:
        def observe(self, event: events.Event) -> None:
            if isinstance(event, events.Progress) and event.step >= 8 and data.is_file():
                data.unlink()

        def close(self) -> None:
            return

    control[0]._observers.append(Mend())  # type: ignore[attr-defined]
    attempt = run.attempt({"SOJOURN_TEST_PACE": "0.1"}, control)
    assert attempt.result.outcome is Outcome.COMPLETED
    assert attempt.of(events.Committed)
    assert attempt.of(events.SaveSkipped)[0].step == 15  # that of step 5 is tried again, that of step 10 waits for it
    latest = run.log.state.latest
    assert latest is not None
    assert latest.step == 40
