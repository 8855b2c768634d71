"""A history says why a checkpoint is kept, as far as the log tells."""

from __future__ import annotations

from datetime import timedelta

from helpers.runs import Clock, commit_step
from sojourn.checkpoint.retention import BestPolicy, RetentionPolicy
from sojourn.client.chapter import Chapter
from sojourn.client.describe import kept_because, rows
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Created
from sojourn.runlog.runs import create_run
from sojourn.store.memory import MemoryStore

POLICY = RetentionPolicy(keep_last=1, keep_best=BestPolicy("acc", "Max"))


def chapter(info: dict[str, object]) -> tuple[Chapter, RunLog]:
    """Three checkpoints, of which the first is held by a server."""
    clock = Clock()
    log = create_run(MemoryStore(), Created(run_id=clock.env().new_id(), name="digits"), clock.env())
    log.begin_attempt("a", info)
    for step, accuracy in ((10, 0.5), (20, 0.9), (30, 0.7)):
        commit_step(log, step, accuracy=accuracy)
    log.pin([log.state.commits[0].checkpoint], holder="server", until=clock.time + timedelta(days=36500))
    return Chapter("memory://", log.prefix, log.state.run_id, log.refresh(), tuple(log.entries(0))), log


def test_every_reason_is_told() -> None:
    found, log = chapter({"keep": POLICY.to_json()})
    said = [kept_because(found)[commit.index] for commit in log.state.commits]
    assert said == ["held by server", "best acc", "the newest"]
    assert [row[-1] for row in rows(found) if "(kept: best acc)" in row[-1]]


def test_attempts_of_other_versions_tell_nothing() -> None:
    for info in ({}, {"keep": "everything"}, {"keep": {"keep_last": 0, "keep_best": None, "keep_every": None}}):
        assert kept_because(chapter(info)[0]) == {}
