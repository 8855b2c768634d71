"""The stages of a transfer as its status shows them."""

from __future__ import annotations

from helpers.runs import Clock
from sojourn.mover.stages import Stages


def test_a_stage_keeps_its_times_and_its_progress() -> None:
    clock = Clock()
    stages = Stages(["Transfer", "Verify"], lambda: clock.time)
    stages.start("Transfer")
    stages.count("Transfer", 3, 9)
    clock.forward(seconds=5)
    stages.finish("Transfer")
    clock.forward(seconds=5)
    stages.finish("Transfer")
    transfer, verify = stages.to_json()
    assert (transfer["startTime"], transfer["completionTime"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z")
    assert transfer["progress"] == {"done": 3, "total": 9, "unit": "bytes"}
    assert verify == {"name": "Verify", "phase": "Pending"}


def test_a_failure_is_of_the_stage_that_is_named_and_a_new_try_begins_anew() -> None:
    stages = Stages(["Serve", "Fence"], Clock().env().now)
    stages.start("Serve")
    stages.start("Fence")
    stages.fail("MovedOn", "it went on", "Fence")
    assert [stage["phase"] for stage in stages.to_json()] == ["Running", "Failed"]
    stages.start("Fence")
    assert "reason" not in stages.to_json()[1]
    stages.fail("Failed", "all of it")
    assert [stage["phase"] for stage in stages.to_json()] == ["Failed", "Failed"]
