"""A local run whose Ray is killed under it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from node import Node, manifest

from sojourn import events

pytestmark = [pytest.mark.ray, pytest.mark.tensorflow]


def test_a_killed_head_is_started_again(tmp_path: Path) -> None:
    training = {"globalBatchSize": 128, "steps": 80, "seed": 7}
    node = Node(tmp_path, manifest(training=training, task={"entrypoint": "models_for_tests:paced"}), {})
    try:
        node.until_committed(10)
        (head,) = node.descendants("gcs_server")
        os.kill(head, signal.SIGKILL)
        assert node.finish() == 0
        first, second = node.of(events.Started)
        assert (first.term, second.term) == (1, 2)
        assert second.restored_step >= 10
        assert node.of(events.Completed)[0].step == 80
    finally:
        node.close()
