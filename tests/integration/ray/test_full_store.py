"""The whole path of a job whose store's disk is full for longer than TensorBoard's files are buffered."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from node import Node, manifest

from helpers.small_disk import small_disk
from sojourn import events
from sojourn.checkpoint.verify import verify_run

pytestmark = [pytest.mark.ray, pytest.mark.tensorflow, pytest.mark.long]

_FULL_SECONDS = 25.0


@pytest.fixture
def small_store(tmp_path: Path) -> Iterator[Path]:
    """Where the node's store is to be: a file system of 8 MB for the test alone."""
    with small_disk(tmp_path / "store", "8m") as made:
        yield made


def test_commits_and_stops_go_on_once_there_is_room(small_store: Path, start_node: Callable[..., Node]) -> None:
    node = start_node(
        manifest(
            training={"globalBatchSize": 128, "steps": 100_000, "seed": 7},
            task={"entrypoint": "models_for_tests:paced"},
            checkpoint={"every": {"steps": 5}, "keepLast": 2},
        )
    )
    before = node.until_committed(10)
    filler = small_store / "filler"
    with filler.open("wb", buffering=0) as out:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
    full_at = time.time()
    failed = node.until(lambda event: isinstance(event, events.SaveFailed) and event.time > full_at)
    node.until(lambda event: isinstance(event, events.Progress) and event.time > full_at + _FULL_SECONDS)
    filler.unlink()
    again = node.until(lambda event: isinstance(event, events.Committed) and event.time > full_at + _FULL_SECONDS)
    node.process.send_signal(signal.SIGTERM)
    assert node.finish() == 3
    assert "No space left on device" in failed.error  # type: ignore[attr-defined]
    assert again.step > before.step + 50  # type: ignore[attr-defined]
    assert not node.of(events.AttemptFailed)
    assert node.of(events.Suspended)[0].step == node.run_log().state.latest.step  # type: ignore[union-attr]
    assert not verify_run(node.run_log()).problems
