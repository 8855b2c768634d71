"""The last checkpoint is on its way as soon as it is committed, not only when the source's pods have ended."""

from __future__ import annotations

from helpers.journeys import Twin
from sojourn_operator.resources import CHECKPOINT_TRANSFERS, TRAINING_JOBS

_LOOK = {"metadata": {"labels": {"look": "again"}}}


def test_it_is_copied_while_the_pods_end_and_the_run_is_handed_over_only_after_that() -> None:
    twin = _stopping(last_steps=20)
    assert twin.west.one(CHECKPOINT_TRANSFERS, "team", "go-receive")["status"]["verified"]["step"] == 120
    assert "fence" not in twin.east.one(CHECKPOINT_TRANSFERS, "team", "go-send")["spec"]
    assert twin.migration(twin.east)["status"]["phase"] == "Checkpoint"
    _let_end(twin)
    assert twin.train(twin.west, 1)
    twin.advance(10)
    status = twin.migration(twin.east)["status"]
    assert (status["phase"], status["committedStep"], status["resumedStep"]) == ("Complete", 120, 120)
    assert twin.logs.told == ["fence of digits: holds"]


def test_steps_that_are_not_committed_yet_are_waited_for() -> None:
    twin = _stopping(last_steps=0)
    twin.east.patch_status(TRAINING_JOBS, "team", "digits", step=119)
    twin.advance(10)
    assert twin.west.one(CHECKPOINT_TRANSFERS, "team", "go-receive")["spec"].get("round", 1) == 1
    run = twin.logs.runs[0]
    assert run.commit(run.term, 119)
    commit = {"step": 119, "manifest": run.manifest}
    twin.east.patch_status(TRAINING_JOBS, "team", "digits", lastCommit=commit)
    twin.advance(10)
    assert twin.west.one(CHECKPOINT_TRANSFERS, "team", "go-receive")["status"]["verified"]["step"] == 119


def _stopping(last_steps: int) -> Twin:
    """A source that was stopped after step 100 had been copied, and whose pods are still there."""
    twin = Twin()
    twin.job(twin.east)
    twin.settle()
    assert twin.train(twin.east, 100)
    twin.logs.pods_pause = twin.logs.pods_linger = True
    twin.migrate(twin.east, target={"cluster": "west"})
    twin.settle()
    if last_steps:
        assert twin.train(twin.east, last_steps)
    twin.logs.pods_pause = False
    twin.west.patch(TRAINING_JOBS, "team", "digits", _LOOK)
    twin.advance(20)
    assert twin.east.one(TRAINING_JOBS, "team", "digits")["status"]["phase"] == "Suspending"
    return twin


def _let_end(twin: Twin) -> None:
    twin.logs.pods_linger = False
    twin.east.patch(TRAINING_JOBS, "team", "digits", _LOOK)
    twin.advance(20)
