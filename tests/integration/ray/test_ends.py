"""Ends that are nobody's wish: the grace period runs out, the driver fails in a way it does not know."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from node import Node, manifest

from sojourn import events

pytestmark = [pytest.mark.ray, pytest.mark.tensorflow]


def test_a_stop_that_cannot_be_committed_in_time_says_so(start_node: Callable[..., Node], tmp_path: Path) -> None:
    node = start_node(
        manifest(
            task={"entrypoint": "models_for_tests:paced"},
            checkpoint={"every": {"steps": 1000}},
            terminationGracePeriodSeconds=3,
        )
    )
    node.until(lambda event: isinstance(event, events.Progress))
    (tmp_path / "store" / node.run_log().prefix / "data").write_text("not a folder, so that no save succeeds")
    node.process.send_signal(signal.SIGTERM)
    assert node.finish() == 1
    (failed,) = node.of(events.Failed)
    assert failed.message == "the checkpoint at the stop was not committed within 1 s; the newest is none in this start"


def test_a_driver_with_an_unknown_error_is_started_again_up_to_the_limit(start_node: Callable[..., Node]) -> None:
    node = start_node(manifest(backoffLimit=1), {"RAY_AUTH_TOKEN": "0" * 64})
    assert node.finish() == 1
    (again,) = node.of(events.AttemptFailed)
    assert again.error == "the driver ended with exit code 70"
    (failed,) = node.of(events.Failed)
    assert "exit code 70, the failure number 2 without a new checkpoint between" in failed.message
