"""TensorBoard's files on a disk that is really full, and that has room again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.small_disk import small_disk
from sojourn import events
from sojourn_trainer.driver.tensorboard import TensorBoardFiles


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "256k") as made:
        yield made


def progress(step: int, metric: str) -> events.Progress:
    return events.Progress(time=0, step=step, epoch=0, total_steps=9999, loss=1.0, metrics={metric: 1.0})


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as out:
        while True:
            try:
                out.write(b"x" * 4096)
            except OSError:
                return filler


def in_time(work: threading.Thread) -> bool:
    """Whether it ends by itself."""
    work.start()
    work.join(20)
    return not work.is_alive()


def test_nobody_waits_for_a_full_disk(disk: Path) -> None:
    now = [0.0]
    files = TensorBoardFiles(disk / "tensorboard", clock=lambda: now[0])
    files.observe(progress(1, "early"))
    files.close()
    files = TensorBoardFiles(disk / "later", clock=lambda: now[0])
    files.observe(progress(1, "early"))
    filler = fill(disk)

    def train() -> None:
        for step in range(2, 3000):
            files.observe(progress(step, "lost"))

    assert in_time(threading.Thread(target=train, daemon=True))
    wait_until_read(files)
    filler.unlink()
    now[0] += 60
    files.observe(progress(3000, "afterwards"))
    assert in_time(threading.Thread(target=files.close, daemon=True))
    assert b"train/early" in newest(disk / "tensorboard")
    assert b"train/afterwards" in newest(disk / "later")


def test_a_disk_that_is_full_from_the_start_is_no_error(disk: Path) -> None:
    fill(disk)
    files = TensorBoardFiles(disk / "tensorboard", clock=lambda: 0.0)
    files.observe(progress(1, "lost"))
    assert in_time(threading.Thread(target=files.close, daemon=True))


def wait_until_read(files: TensorBoardFiles) -> None:
    """Until its thread has met the full disk."""
    waiting = files._waiting
    while not waiting.empty():
        threading.Event().wait(0.01)


def newest(folder: Path) -> bytes:
    return sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)[-1].read_bytes()
