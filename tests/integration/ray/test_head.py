"""A local run whose Ray is killed under it, and which is killed itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from node import CommandLine, below, command_of, manifest

from sojourn import events

pytestmark = [pytest.mark.ray, pytest.mark.tensorflow]


def test_a_killed_head_is_started_again_and_a_second_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    job = manifest(task={"entrypoint": "models_for_tests:paced"}, training={"globalBatchSize": 128, "steps": 100000})
    run = CommandLine(tmp_path, job, {"XDG_STATE_HOME": str(tmp_path / "state")})
    try:
        run.until_committed(10)
        (head,) = run.descendants("gcs_server")
        os.kill(head, signal.SIGKILL)
        run.until(lambda event: isinstance(event, events.Started) and event.term == 2)
        *_, second = run.of(events.Started)
        assert second.restored_step >= 10
        run.until_committed(second.restored_step + 5)
        processes = below(run.process.pid)
        assert any("RayTrainWorker" in command_of(pid) for pid in processes)
        run.process.send_signal(signal.SIGINT)
        run.until(lambda event: isinstance(event, events.Stopping))
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == 137
        deadline = time.monotonic() + 30
        while left := [command_of(pid) for pid in processes if command_of(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
    finally:
        run.close()
