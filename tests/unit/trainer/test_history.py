"""The curves in the run's folder are those of the run that exists: no step twice, none that no commit has behind it."""

from __future__ import annotations

import json

from sojourn import events
from sojourn.store.memory import MemoryStore
from sojourn_trainer.driver.observers import HistoryFiles


def started(term: int, restored: int | None) -> events.Started:
    return events.Started(
        time=0,
        run="digits",
        run_id="r",
        attempt=f"attempt-{term}",
        term=term,
        restored_step=restored,
        workers=1,
        strategy="Default",
        steps_per_epoch=10,
        total_steps=40,
        epochs=4,
    )


def progress(files: HistoryFiles, *steps: int) -> None:
    for step in steps:
        files.observe(events.Progress(time=0, step=step, epoch=0, total_steps=40, loss=1.0, metrics={}))


def committed(files: HistoryFiles, step: int) -> None:
    checkpoint = f"data/{step}-1-a"
    files.observe(events.Committed(time=0, step=step, bytes=1, seconds=1, stall_seconds=1, checkpoint=checkpoint))


def kept(store: MemoryStore) -> list[tuple[str, int]]:
    """Attempt and step of every line, in order."""
    keys = sorted(info.key for info in store.list("run/history"))
    rows = [json.loads(line) for key in keys for line in store.read(key).splitlines()]
    return [(row["attempt"], row["step"]) for row in rows]


def test_steps_that_were_lost_are_left_out() -> None:
    """Training goes on while a save is written, so lines of later steps are there when its commit comes."""
    store = MemoryStore()
    files = HistoryFiles(store, "run")
    files.observe(started(1, None))
    progress(files, 1, 2, 3, 4, 5, 6, 7)
    committed(files, 5)
    progress(files, 8)
    files.observe(started(2, 5))
    progress(files, 6, 7, 8)
    committed(files, 8)
    files.close()
    first, second = [("attempt-1", step) for step in range(1, 6)], [("attempt-2", step) for step in (6, 7, 8)]
    assert kept(store) == first + second


def test_a_failed_end_leaves_nothing_that_a_resume_repeats() -> None:
    store = MemoryStore()
    files = HistoryFiles(store, "run")
    files.observe(started(1, None))
    progress(files, 1, 2)
    committed(files, 2)
    progress(files, 3, 4)
    files.close()
    again = HistoryFiles(store, "run")
    again.observe(started(2, 2))
    progress(again, 3)
    committed(again, 3)
    again.close()
    assert [step for _, step in kept(store)] == [1, 2, 3]


def test_a_line_that_comes_after_the_commit_of_its_step_is_kept() -> None:
    store = MemoryStore()
    files = HistoryFiles(store, "run")
    files.observe(started(1, None))
    committed(files, 2)
    progress(files, 2)
    files.close()
    assert kept(store) == [("attempt-1", 2)]


def test_steps_that_were_rolled_back_are_left_out() -> None:
    store = MemoryStore()
    files = HistoryFiles(store, "run")
    files.observe(started(1, None))
    progress(files, 1, 2)
    committed(files, 2)
    progress(files, 3, 4)
    files.observe(events.RolledBack(time=0, from_step=4, to_step=2, reason="NaN"))
    progress(files, 3, 4)
    committed(files, 4)
    files.close()
    assert [step for _, step in kept(store)] == [1, 2, 3, 4]
