"""What a run's log allows, refuses, and says."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpers.logs import IMPATIENT, PREFIX, RUN_ID, CountingStore, account, created, digest, filled, info
from helpers.runs import START, Clock
from sojourn.errors import CorruptData, InvalidInput, NotFound, Refused
from sojourn.runlog.errors import Fenced, MovedOn, Pinned, RunExists, StaleTerm
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, ExportInfo, KeepBest, Parent, Recipient
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore

THERE = Recipient(run_id="r2", run="prod/digits-r2", store="s3://bucket/runs", cluster="east")


def reopened(log: RunLog) -> RunLog:
    return RunLog.open(log.store, log.prefix)


def fence(log: RunLog, migration: str = "m1", recipient: Recipient = THERE) -> None:
    state = log.refresh()
    newest = state.latest.manifest if state.latest else ""
    log.fence(expected_term=state.term, expected_commit=newest, recipient=recipient, migration_id=migration)


def test_a_run_from_its_first_entry_to_its_fence(log: RunLog, store: Store) -> None:
    assert log.begin_attempt("a1", {"workers": 2}) == 1
    first = log.commit(term=1, attempt_id="a1", commit=info(100, metrics={"loss": 0.5}, epoch=1, samples=6400))
    log.commit(term=1, attempt_id="a1", commit=info(200))
    exported = log.export(ExportInfo(version=1, key="export/1", manifest=digest("e1"), step=200, formats=("Keras",)))
    pin = log.pin(["data/200-u"], holder="transfer", until=None)
    log.retire(term=1, keys=["data/100-u"], reason="keepLast")
    log.unpin(pin)
    fence(log)
    assert [entry["type"] for entry in account(store)] == (
        ["created", "attempt", "commit", "commit", "export", "pin", "retire", "unpin", "fence"]
    )
    state = reopened(log).state
    assert state == log.state
    assert (first.step, first.term, first.index, first.metrics) == (100, 1, 2, {"loss": 0.5})
    assert [commit.step for commit in state.commits] == [200]
    assert (state.latest, state.commit_at(200), state.commit_at(100)) == (state.commits[0], state.commits[0], None)
    assert state.exports == (exported,)
    assert (state.run_id, state.name, state.namespace) == (RUN_ID, "digits", "local")
    assert (state.term, state.attempt_id, state.attempts, state.commits_made) == (1, "a1", 1, 2)
    assert (state.retired, state.pins, state.fenced_to) == (("data/100-u",), (), THERE)


def test_creating_the_same_run_again_opens_it(log: RunLog, store: Store) -> None:
    log.begin_attempt("a1")
    again = RunLog.create(store, PREFIX, created(), IMPATIENT)
    assert again.state == log.state
    with pytest.raises(RunExists, match="holds another run"):
        RunLog.create(store, PREFIX, created(spec_digest=digest("other")), IMPATIENT)


def test_there_is_no_run_without_a_created_entry(store: Store) -> None:
    store.put(f"{PREFIX}/data/1-u/manifest.json", b"{}")
    with pytest.raises(NotFound, match=f"there is no run at {store.uri}/{PREFIX}"):
        RunLog.open(store, PREFIX)


def test_a_newer_attempt_shuts_out_the_older_one(log: RunLog) -> None:
    log.begin_attempt("a1")
    other = reopened(log)
    assert other.begin_attempt("a2") == 2
    with pytest.raises(StaleTerm, match=r"attempt a1 \(term 1\) .* is outdated: attempt a2 holds term 2") as caught:
        log.commit(term=1, attempt_id="a1", commit=info(1))
    assert "Another start of this run is going on" in caught.value.hint
    with pytest.raises(StaleTerm):
        log.retire(term=1, keys=["data/1-u"])
    with pytest.raises(StaleTerm):
        log.export(ExportInfo(version=1, key="export/1", manifest=digest("e"), step=1), term=1)
    with pytest.raises(StaleTerm):
        log.commit(term=2, attempt_id="a1", commit=info(1))
    assert log.begin_attempt("a3") == 3
    assert log.commit(term=3, attempt_id="a3", commit=info(1)).term == 3


def test_repeating_a_request_records_it_once(log: RunLog) -> None:
    assert [log.begin_attempt("a1"), log.begin_attempt("a1"), reopened(log).begin_attempt("a1")] == [1, 1, 1]
    first = log.commit(term=1, attempt_id="a1", commit=info(1))
    assert reopened(log).commit(term=1, attempt_id="a1", commit=info(1)) == first
    export = ExportInfo(version=1, key="export/1", manifest=digest("e"), step=1)
    assert log.export(export) == reopened(log).export(export)
    for _ in range(2):
        log.pin(["data/1-u"], holder="h", until=None, pin_id="p")
        fence(log)
    for _ in range(2):
        log.unpin("p")
        log.takeover(fence=log.state.fence_digest, reason="lost", person="ada", recipient=Recipient(run_id="r3"))
        log.retire(term=1, keys=["data/1-u"])
    assert [entry.type for entry in log.entries()] == (
        ["created", "attempt", "commit", "export", "pin", "fence", "unpin", "takeover", "retire"]
    )


def test_one_checkpoint_and_one_version_have_one_manifest(log: RunLog) -> None:
    log.begin_attempt("a1")
    log.commit(term=1, attempt_id="a1", commit=info(1))
    with pytest.raises(Refused, match="another manifest"):
        log.commit(term=1, attempt_id="a1", commit=info(1, manifest=digest("else")))
    log.export(ExportInfo(version=4, key="export/4", manifest=digest("e"), step=1))
    with pytest.raises(Refused, match="has an export 4 already") as caught:
        log.export(ExportInfo(version=4, key="export/4", manifest=digest("else"), step=1))
    assert caught.value.hint == "Export as version 5."


def test_nothing_is_decided_on_what_was_known_long_ago(log: RunLog) -> None:
    """Requests that change nothing, and refusals, hold for the newest state or not at all."""
    old = reopened(log)
    log.begin_attempt("a1")
    log.commit(term=1, attempt_id="a1", commit=info(1))
    log.pin(["data/1-u"], holder="h", until=None, pin_id="p")
    assert old.pin(["data/1-u"], holder="other", until=None)
    older = reopened(log)
    log.unpin("p")
    log.pin(["data/1-u"], holder="h", until=None, pin_id="q")
    older.unpin("q")
    assert {pin.holder for pin in log.refresh().pins} == {"other"}


def test_a_fence_ends_the_run_and_says_where_it_went(log: RunLog, clock: Clock) -> None:
    log.begin_attempt("a1")
    log.commit(term=1, attempt_id="a1", commit=info(1234))
    stale = reopened(log)
    fence(log, "m7")
    for attempt in (
        lambda: stale.begin_attempt("a2"),
        lambda: stale.commit(term=1, attempt_id="a1", commit=info(1300)),
        lambda: log.export(ExportInfo(version=1, key="export/1", manifest=digest("e"), step=1)),
        lambda: fence(log, "m8"),
        stale.refuse_if_fenced,
    ):
        with pytest.raises(Fenced) as caught:
            attempt()
        assert caught.value.message == (
            f"run local/digits ({RUN_ID}) was handed over to run prod/digits-r2 in s3://bucket/runs on cluster east "
            "by migration m7 on 2026-01-01 00:00:00 UTC, at step 1234"
        )
        assert "takeover" in caught.value.hint
    pin = stale.pin(["data/1234-u"], holder="child", until=None)
    stale.unpin(pin)
    stale.retire(term=1, keys=["data/1234-u"])


def test_a_fence_fails_if_the_run_went_on(log: RunLog) -> None:
    log.begin_attempt("a1")
    log.commit(term=1, attempt_id="a1", commit=info(1))
    mover = reopened(log)
    seen = mover.state.latest
    assert seen is not None

    def try_to_fence() -> None:
        mover.fence(expected_term=1, expected_commit=seen.manifest, recipient=THERE, migration_id="m1")

    log.commit(term=1, attempt_id="a1", commit=info(2))
    with pytest.raises(MovedOn, match=r"newest commit \(step 2, .* is not the one that was transferred"):
        try_to_fence()
    log.retire(term=1, keys=["data/2-u"])
    reopened(log).begin_attempt("a2")
    with pytest.raises(MovedOn, match=r"attempt a2 began \(term 2\)"):
        try_to_fence()
    with pytest.raises(MovedOn, match="none"):
        log.fence(expected_term=2, expected_commit="", recipient=THERE, migration_id="m1")
    log.fence(expected_term=2, expected_commit=seen.manifest, recipient=THERE, migration_id="m1")


def test_an_empty_run_can_be_handed_over(log: RunLog) -> None:
    assert log.fence(expected_term=0, expected_commit="", recipient=THERE, migration_id="m").step == 0


def test_a_takeover_brings_a_run_back(log: RunLog, store: Store) -> None:
    log.begin_attempt("a1")
    with pytest.raises(Refused, match="is not fenced"):
        log.takeover(fence="", reason="r", person="ada")
    fence(log)
    with pytest.raises(MovedOn, match="the fence of run"):
        log.takeover(fence=digest("another"), reason="r", person="ada")
    other = reopened(log)
    log.takeover(fence=log.state.fence_digest, reason="east burnt down", person="ada")
    assert other.begin_attempt("a2") == 2
    other.commit(term=2, attempt_id="a2", commit=info(5))
    fence(log, "m2")
    log.takeover(
        fence=log.state.fence_digest, reason="r", person="bob", recipient=Recipient(run_id="r9", cluster="west")
    )
    with pytest.raises(Fenced, match="handed over to run r9 on cluster west"):
        log.begin_attempt("a3")
    account(store)


def test_pins_hold_until_they_expire(log: RunLog, clock: Clock) -> None:
    log.begin_attempt("a1")
    for step in (1, 2, 3):
        log.commit(term=1, attempt_id="a1", commit=info(step))
    log.pin(["data/1-u"], holder="transfer t1", until=START + timedelta(hours=1), pin_id="p1")
    log.pin(["data/2-u"], holder="child run", until=None, pin_id="p2")
    with pytest.raises(Pinned, match=r"data/1-u of .* is held by transfer t1 until 2026-01-01 01:00:00 UTC \(pin p1\)"):
        log.retire(term=1, keys=["data/3-u", "data/1-u"])
    assert len(log.state.commits) == 3
    clock.forward(hours=2)
    log.retire(term=1, keys=["data/1-u"])
    with pytest.raises(Pinned, match="for good"):
        log.retire(term=1, keys=["data/2-u"])
    assert set(log.state.pinned(clock.time)) == {"data/2-u"}
    log.pin(["data/2-u"], holder="child run", until=clock.time + timedelta(hours=1), pin_id="p2")
    clock.forward(hours=2)
    log.retire(term=1, keys=["data/2-u"])
    with pytest.raises(InvalidInput, match="time zone"):
        log.pin(["data/3-u"], holder="h", until=datetime(2030, 1, 1))


def test_what_does_not_exist_cannot_be_pinned(log: RunLog) -> None:
    log.begin_attempt("a1")
    log.commit(term=1, attempt_id="a1", commit=info(1))
    log.retire(term=1, keys=["data/1-u"])
    with pytest.raises(NotFound, match=r"data/1-u of run .* was retired"):
        log.pin(["data/1-u"], holder="h", until=None)
    with pytest.raises(NotFound, match=r"data/9-u of run .* does not exist"):
        log.pin(["data/9-u"], holder="h", until=None)


@pytest.mark.parametrize("change", [{"manifest": "abc"}, {"checkpoint": "export/1"}, {"checkpoint": "data/../x"}])
def test_malformed_commits_are_refused(log: RunLog, change: dict[str, Any]) -> None:
    log.begin_attempt("a1")
    with pytest.raises(InvalidInput):
        log.commit(term=1, attempt_id="a1", commit=info(1, **change))


def test_metrics_may_be_nan(log: RunLog) -> None:
    log.begin_attempt("a1")
    log.commit(term=1, attempt_id="a1", commit=info(1, metrics={"loss": math.nan, "acc": math.inf, "n": 3}))
    metrics = reopened(log).state.commits[0].metrics
    assert math.isnan(metrics["loss"])
    assert (metrics["acc"], metrics["n"]) == (math.inf, 3.0)


def test_a_child_run_starts_from_what_was_handed_over(store: Store) -> None:
    start = CommitInfo(step=500, checkpoint="data/500-3-x", manifest=digest("m"), metrics={"acc": 0.9})
    parent = Parent(store="file:///a", run="local/digits-x", run_id="x", fence=digest("f"), term=3, commit=start)
    child = RunLog.create(store, PREFIX, created(parent=parent, start=start), IMPATIENT)
    assert reopened(child).state == child.state
    assert child.state.parent == parent
    latest = child.state.latest
    assert latest is not None
    assert (latest.step, latest.term, latest.index, latest.metrics) == (500, 3, 0, {"acc": 0.9})
    assert child.begin_attempt("a1") == 4


def test_a_checkpoint_may_lie_in_the_parents_folder() -> None:
    assert info(1).location("local/child") == "local/child/data/1-u"
    assert info(1, run="local/parent").location("local/child") == "local/parent/data/1-u"


def test_a_snapshot_every_hundred_entries(log: RunLog, store: Store, clock: Clock) -> None:
    filled(log, 300)
    entries = account(store)
    assert [entry["index"] for entry in entries if entry["type"] == "snapshot"] == [100, 200, 300, 400, 500, 600]
    counting = CountingStore(store)
    opened = RunLog.open(counting, PREFIX)
    assert opened.state == log.state
    assert counting.reads <= 101
    assert counting.stats <= 20


def test_snapshots_go_on_after_a_fence_and_old_pins_go(log: RunLog, clock: Clock) -> None:
    log.begin_attempt("a1")
    log.commit(term=1, attempt_id="a1", commit=info(1))
    log.pin(["data/1-u"], holder="h", until=clock.time + timedelta(hours=1), pin_id="expired")
    log.pin(["data/1-u"], holder="h", until=clock.time + timedelta(days=30), pin_id="lasting")
    fence(log)
    clock.forward(days=10)
    for number in range(100):
        log.unpin(log.pin(["data/1-u"], holder=f"reader {number}", until=None))
    assert [pin.pin_id for pin in log.state.pins] == ["lasting"]
    assert log.state.snapshot == 200
    assert reopened(log).state == log.state


def test_a_state_too_large_for_an_entry_lies_beside_the_log(log: RunLog, store: Store) -> None:
    term = log.begin_attempt("a1")
    for step in range(800):
        log.commit(term=term, attempt_id="a1", commit=info(step, metrics={"loss": 0.5}))
    entries = account(store)
    large = [entry for entry in entries if entry["type"] == "snapshot" and "key" in entry]
    assert large
    assert reopened(log).state == log.state
    kept = [item.key for item in store.list(f"{PREFIX}/state")]
    assert kept == [f"{PREFIX}/{entry['key']}" for entry in large[-2:]]
    store.put(kept[-1], store.read(kept[-1]).replace(b'"step":7,', b'"step":8,'))
    with pytest.raises(CorruptData, match="does not have the digest"):
        reopened(log)


def test_a_failing_snapshot_does_not_fail_the_commit(
    log: RunLog, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    from sojourn.errors import StoreError

    class FullAtSnapshots(CountingStore):
        full = True

        def create(self, key: str, data: Any) -> None:
            if self.full and b'"type":"snapshot"' in bytes(data):
                raise StoreError("no room")
            super().create(key, data)

    full = FullAtSnapshots(store)
    writer = RunLog.open(full, PREFIX, env=IMPATIENT)
    term = writer.begin_attempt("a1")
    for step in range(99):
        writer.commit(term=term, attempt_id="a1", commit=info(step))
    assert writer.state.snapshot == 0
    assert "no snapshot entry" in caplog.text
    full.full = False
    writer.commit(term=term, attempt_id="a1", commit=info(100))
    assert writer.state.snapshot == writer.head.index
    assert account(store)


def test_retiring_many_takes_several_entries(log: RunLog) -> None:
    term = log.begin_attempt("a1")
    for step in range(250):
        log.commit(term=term, attempt_id="a1", commit=info(step))
    log.retire(term=term, keys=[commit.checkpoint for commit in log.state.commits])
    retires = [entry.body for entry in log.entries() if entry.type == "retire"]
    assert [len(body.keys) for body in retires] == [200, 50]  # type: ignore[union-attr]
    assert len(log.state.retired) == 200


def test_keep_best_is_recorded(store: Store) -> None:
    log = RunLog.create(store, PREFIX, created(keep_best=KeepBest(metric="acc", mode="Max")), IMPATIENT)
    assert reopened(log).state.keep_best == KeepBest(metric="acc", mode="Max")


def test_opening_a_long_run_on_disk_reads_little(fast_folder: Path) -> None:
    from sojourn.store.posix import PosixStore

    log = filled(RunLog.create(PosixStore(fast_folder), PREFIX, created(), IMPATIENT), 600)
    counting = CountingStore(log.store)
    assert RunLog.open(counting, PREFIX).state == log.state
    assert (counting.reads, counting.stats) <= (101, 40)
