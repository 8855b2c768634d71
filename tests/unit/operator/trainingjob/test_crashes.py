"""The operator dies before every write, and loses every answer; what comes of it is the same."""

from __future__ import annotations

import pytest

from helpers.crashes import crash_at_every_write
from helpers.jobs import NAMESPACE, World
from helpers.manifests import JOB
from helpers.operator import Harness
from sojourn_operator.resources import JOBS, PODS, TRAINING_JOBS


class Story:
    """Plays one story on a fresh world each time it is asked for one."""

    def __init__(self) -> None:
        self.world = World(JOB)

    def make(self) -> Harness:
        self.world = World(JOB)
        self.world.harness.port._after_write = self.invariant
        return self.world.harness

    def invariant(self) -> None:
        """Never two attempts at once: pods run of one attempt only."""
        pods = self.world.harness.world.list(PODS, NAMESPACE).items
        running = [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
        assert len({pod["metadata"]["labels"]["sojourn.dev/attempt"] for pod in running}) <= 1

    def trained(self, _: Harness) -> None:
        it = self.world
        it.start()
        it.commit(10)
        it.end_head(1)
        it.start(2)
        it.patch(checkpoint={"request": "now"})
        it.commit(20, 2)
        it.report(2, checkpointRequest={"token": "now", "step": 20})
        it.complete(2)
        it.harness.advance(60)
        assert it.phase == "Complete"

    def suspended_and_deleted(self, _: Harness) -> None:
        it = self.world
        it.start()
        it.commit(10)
        it.patch(suspend=True)
        it.answer_stop(12)
        it.patch(suspend=False)
        it.start(2)
        it.harness.delete(TRAINING_JOBS, NAMESPACE, "digits")
        it.harness.settle()
        it.answer_stop(14, 2)
        it.harness.advance(60)
        assert it.harness.names(JOBS) == []


@pytest.mark.slow
def test_an_attempt_that_fails_and_one_that_completes() -> None:
    story = Story()
    struck = crash_at_every_write(story.make, story.trained)
    assert len(struck) > 60


@pytest.mark.slow
def test_suspended_resumed_deleted() -> None:
    story = Story()
    struck = crash_at_every_write(story.make, story.suspended_and_deleted)
    assert len(struck) > 60
