"""Two mover processes, killed and cut and fed with wrong certificates: one owner, whole files, honest statuses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.movers import Mover, Pair, pair
from helpers.runs import Clock, assert_holds, commit_step, trained_run
from helpers.small_disk import small_disk
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.errors import Fenced
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Attempt, Fence, Recipient, Takeover
from sojourn.runlog.runs import find_run, list_runs
from sojourn.store.posix import PosixStore
from sojourn.transfer.tls import make_identity

MOVE = {"mode": "Move", "what": "Run"}
COPY = {"mode": "Copy", "what": "Run"}


def run_with(store: PosixStore, size: int = 3_000_000) -> RunLog:
    log = trained_run(store, Clock().env())
    store.put(f"{log.prefix}/job/aa/data.bin", os.urandom(size))
    return log


def ended_well(*movers: Mover) -> None:
    for mover in movers:
        code, log = mover.end()
        assert (code, mover.status.get("phase")) == (0, "Succeeded"), log


@pytest.mark.parametrize("listener", ["Source", "Target"])
def test_a_copy(tmp_path: Path, listener: str) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = run_with(here)
    with pair(tmp_path, str(here.root), str(there.root), {**COPY, "listener": listener}) as both:
        ended_well(both.receive, both.send)
    child = RunLog.open(there, both.receive.status["began"]["run"])
    assert verify_run(child).ok
    assert_holds(child, 30)
    status = both.receive.status
    assert status["run"]["runId"] == source.state.run_id
    assert status["verified"]["copiedBytes"] == status["verified"]["bytes"] == status["plan"]["missingBytes"] > 3e6
    assert status["progress"]["done"] == status["progress"]["total"]
    assert [stage["phase"] for stage in status["pipeline"]] == ["Succeeded"] * 4
    assert [stage["phase"] for stage in both.send.status["pipeline"]] == ["Succeeded"] * 2
    assert source.refresh().pins == ()
    source.begin_attempt("goes on")


def test_a_move_with_a_round_more(tmp_path: Path) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = run_with(here)
    with pair(tmp_path, str(here.root), str(there.root), MOVE) as both:
        both.receive.wait(lambda status: status.get("phase") == "Verified")
        commit_step(source, 40)
        both.fence()
        refused = both.send.wait(lambda status: "refused" in status)["refused"]
        assert (refused["reason"], list_runs(there)) == ("MovedOn", [])
        both.send.edit(fence=None)
        both.send.wait(lambda status: "refused" not in status)
        both.receive.edit(round=2)
        again = both.receive.wait(lambda status: status["verified"]["round"] == 2)["verified"]
        assert again["step"] == 40
        both.send.wait(lambda status: status["run"]["step"] == 40)
        assert again["reusedBytes"] > 3e6 > again["copiedBytes"] > 0
        both.fence()
        fenced = both.send.wait(lambda status: "fenced" in status)["fenced"]
        assert list_runs(there) == []
        both.hand_over()
        ended_well(both.receive, both.send)
    state = source.refresh()
    assert state.fence is not None
    assert (state.fence_digest, state.fence.index) == (fenced["digest"], fenced["entry"])
    child = find_run(there, "digits", "team")
    assert (child.prefix, child.state.run_id) == (state.fence.recipient.run, both.receive.status["child"]["runId"])
    assert_holds(child, 40)
    with pytest.raises(Fenced):
        source.begin_attempt("here")


def test_a_run_whose_heir_is_lost_goes_to_another_by_an_order(tmp_path: Path) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = run_with(here)
    newest = source.state.latest
    assert newest is not None
    lost = Recipient(run_id="6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11", cluster="west")
    source.fence(expected_term=1, expected_commit=newest.manifest, recipient=lost, migration_id="m1")
    order = {"fence": source.state.fence_digest, "reason": "west burnt down", "person": "ada"}
    with pair(tmp_path, str(here.root), str(there.root), MOVE) as both:
        both.receive.wait(lambda status: status.get("phase") == "Verified")
        both.fence()
        assert both.send.wait(lambda status: "refused" in status)["refused"]["reason"] == "Fenced"
        both.fence(takeover=order)
        fenced = both.send.wait(lambda status: "fenced" in status)["fenced"]
        both.hand_over()
        ended_well(both.receive, both.send)
    state = source.refresh()
    assert state.fence is not None
    assert fenced["digest"] == state.fence_digest != order["fence"]
    assert [(one.reason, one.person) for one in (entry.body for entry in source.entries()) if isinstance(one, Takeover)]
    child = find_run(there, "digits", "team")
    assert child.state.parent is not None
    assert child.state.parent.fence == fenced["digest"]
    assert_holds(child, 30)


def test_the_log_of_a_run_that_nobody_handed_over_keeps_the_order_to_take_it_over(tmp_path: Path) -> None:
    """As an attempt, so that whoever still trains the run can commit nothing more."""
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = run_with(here)
    orphan = source.state.attempt_id
    order = {"reason": "nobody reaches east", "person": "ada"}
    with pair(tmp_path, str(here.root), str(there.root), MOVE) as both:
        both.receive.wait(lambda status: status.get("phase") == "Verified")
        both.fence(takeover=order)
        fenced = both.send.wait(lambda status: "fenced" in status)["fenced"]
        both.hand_over()
        ended_well(both.receive, both.send)
    source.refresh()
    said, fence = [entry.body for entry in source.entries() if isinstance(entry.body, Attempt | Fence)][-2:]
    assert isinstance(said, Attempt)
    assert isinstance(fence, Fence)
    assert said.info == {"takeover": "nobody reaches east", "person": "ada"}
    assert said.attempt_id != orphan
    assert (fence.term, fence.index) == (said.term, said.index + 1) == (fenced["term"], fenced["entry"])
    child = find_run(there, "digits", "team")
    assert child.state.parent is not None
    assert child.state.parent.fence == fenced["digest"]
    assert_holds(child, 30)


def test_an_order_does_not_cut_off_what_was_committed_meanwhile(tmp_path: Path) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = run_with(here)
    with pair(tmp_path, str(here.root), str(there.root), MOVE) as both:
        both.receive.wait(lambda status: status.get("phase") == "Verified")
        commit_step(source, 40)
        both.fence(takeover={"reason": "nobody reaches east"})
        assert both.send.wait(lambda status: "refused" in status)["refused"]["reason"] == "MovedOn"
    assert source.refresh().fence is None


@pytest.mark.parametrize("listener", ["Source", "Target"])
def test_killed_movers_on_both_sides_lose_nothing(tmp_path: Path, listener: str) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = run_with(here, 40_000_000)
    spec = {**MOVE, "listener": listener, "bandwidthLimit": "25M", "streams": 3}
    with pair(tmp_path, str(here.root), str(there.root), spec) as both:
        both.receive.wait(lambda status: status.get("phase") == "Running")
        for victim, files in ((both.send, 1), (both.receive, 1), (both.send, 2), (both.receive, 3)):
            _wait_for_bytes(tmp_path / "b", files * 8_000_000)
            victim.kill()
            victim.start()
        verified = both.receive.wait(lambda status: status.get("phase") == "Verified")["verified"]
        assert verified["reusedBytes"] >= 16 << 20
        both.receive.kill()
        both.send.kill()
        both.fence()
        both.send.start()
        both.send.wait(lambda status: "fenced" in status)
        both.send.end()
        both.hand_over()
        both.receive.start()
        ended_well(both.receive)
    child = find_run(there, "digits", "team")
    assert verify_run(child).ok
    assert_holds(child, 30)
    assert (source.refresh().fence is not None, source.state.pins) == (True, ())
    assert [run.run_id for run in list_runs(there)] == [child.state.run_id]
    assert not list((tmp_path / "b").rglob(".sojourn-tmp-*"))


def _wait_for_bytes(folder: Path, count: int) -> None:
    """Until so many bytes have arrived in partial or whole files."""
    import time

    for _ in range(3000):
        # The store's probe comes and goes; os.walk passes over folders that are gone.
        names = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
        found = [path for path in names if path.name.endswith("data.bin") or path.name.startswith(".sojourn-tmp-")]
        if sum(_room(path) for path in found) >= count:
            return
        time.sleep(0.01)
    raise AssertionError("it does not proceed")


def _room(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def test_killed_between_the_fence_and_the_report(tmp_path: Path) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = run_with(here)
    with pair(tmp_path, str(here.root), str(there.root), MOVE) as both:
        both.receive.wait(lambda status: status.get("phase") == "Verified")
        both.send.server.refuse = lambda method, path: 503 if method == "PATCH" else 0
        both.fence()
        while source.refresh().fence is None:
            pass
        both.send.kill()
        assert "fenced" not in both.send.status
        both.send.server.refuse = lambda method, path: 0
        # Somebody makes another run of the same name meanwhile: the fenced one is still the one that is meant.
        trained_run(here, Clock(ids=iter(range(100, 200))).env())
        both.send.start()
        fenced = both.send.wait(lambda status: "fenced" in status)["fenced"]
        assert fenced["digest"] == source.state.fence_digest
        both.hand_over()
        ended_well(both.receive, both.send)


def test_a_stranger_gets_nothing(tmp_path: Path) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    run_with(here)
    stranger = {"certificate": make_identity("stranger").certificate, "address": "127.0.0.1", "port": 1}
    with pair(tmp_path, str(here.root), str(there.root), COPY) as both:
        both._ended.set()
        both.send.wait(lambda status: status.get("phase") == "Waiting" and "certificate" in status and "run" in status)
        port = int(both.send._environment["SOJOURN_MOVER_PORT"])
        both.send.edit(peer=stranger)
        real = {"certificate": both.send.status["certificate"], "address": "127.0.0.1", "port": port}
        both.receive.edit(peer=real)
        with pytest.raises(AssertionError):
            both.receive.wait(lambda status: "plan" in status, 3)
        assert not list(there.list("team"))
        both.receive.wait(lambda status: "certificate" in status)
        both.send.edit(peer={"certificate": both.receive.status["certificate"]})
        ended_well(both.receive, both.send)


def test_through_a_relay(tmp_path: Path) -> None:
    here, there, between = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b"), PosixStore(tmp_path / "c")
    source = run_with(here, 20_000_000)
    spec = {**MOVE, "relay": {"storeRef": {"name": "between"}}}
    with pair(tmp_path, str(here.root), str(there.root), spec, {"SOJOURN_RELAY_STORE": str(between.root)}) as both:
        both.receive.wait(lambda status: status.get("phase") == "Verified")
        commit_step(source, 40)
        offer = both.send.wait(lambda status: status["run"]["step"] == 40)["offer"]
        both.receive.edit(round=2, peer={"offer": offer})
        verified = both.receive.wait(lambda status: status["verified"]["round"] == 2)["verified"]
        assert verified["step"] == 40
        assert verified["reusedBytes"] > 2e7
        both.fence()
        both.send.wait(lambda status: "fenced" in status)
        both.hand_over()
        ended_well(both.receive, both.send)
    assert_holds(find_run(there, "digits", "team"), 40)
    assert not list(between.list(".sojourn-relay"))


def test_in_one_store_it_is_adopted(tmp_path: Path) -> None:
    store = PosixStore(tmp_path / "a")
    run_with(store)
    with pair(tmp_path, str(store.root), str(store.root), MOVE) as both:
        both.receive.wait(lambda status: status.get("phase") == "Verified")
        assert both.receive.status["verified"]["adopted"]
        both.fence()
        both.send.wait(lambda status: "fenced" in status)
        both.hand_over()
        ended_well(both.receive, both.send)
    child = find_run(store, "digits", "team")
    assert not list(store.list(f"{child.prefix}/data"))
    assert_holds(child, 30)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "16m") as made:
        yield made


def test_a_full_disk_is_said_and_outlived(tmp_path: Path, disk: Path) -> None:
    here = PosixStore(tmp_path / "a")
    run_with(here, 20_000_000)
    with pair(tmp_path, str(here.root), str(disk), COPY) as both:
        trouble = both.receive.wait(lambda status: status.get("reason") == "StoreFull")
        assert "are to be copied" in trouble["message"]
        assert "Make room" in trouble["hint"]
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        ended_well(both.receive, both.send)
        assert "reason" not in both.receive.status
        assert verify_run(find_run(PosixStore(disk), "digits", "team")).ok


def test_deleted_objects_leave_nothing(tmp_path: Path) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = run_with(here, 20_000_000)
    with pair(tmp_path, str(here.root), str(there.root), {**MOVE, "bandwidthLimit": "5M"}) as both:
        _wait_for_bytes(tmp_path / "b", 4_000_000)
        assert source.refresh().pins
        for mover in (both.receive, both.send):
            found = mover.server.object
            mover.server.set({**found, "metadata": {**found["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
            assert mover.end()[0] == 0
    assert [path.name for path in (tmp_path / "b").rglob("*") if path.is_file()] == [".sojourn-store.json"]
    assert source.refresh().pins == ()
    source.begin_attempt("goes on")


def test_what_cannot_be_is_said_once(tmp_path: Path) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    run_with(here)
    source = {"storeRef": {"name": "here"}, "run": "nobody", "namespace": "local"}
    with pair(tmp_path, str(here.root), str(there.root), {**COPY, "source": source}) as both:
        code, _ = both.send.end()
        assert code == 1
        status = both.send.status
        assert (status["phase"], status["reason"]) == ("Failed", "NotFound")
        assert "there is no run 'nobody'" in status["message"]


def test_stopped_by_its_node(tmp_path: Path) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    run_with(here)
    with pair(tmp_path, str(here.root), str(there.root), MOVE) as both:
        both.receive.wait(lambda status: status.get("phase") == "Verified")
        for mover in (both.send, both.receive):
            assert mover.process is not None
            mover.process.terminate()
            assert mover.end()[0] == 143
        _check_pinned(both, RunLog.open(here, both.send.status["run"]["prefix"]))


def _check_pinned(both: Pair, source: RunLog) -> None:
    """Whoever comes after a mover that was stopped finds everything still held."""
    assert [pin.pin_id for pin in source.state.pins] == ["transfer-uid-send"]
    assert both.receive.status["verified"]["manifest"] == both.send.status["run"]["manifest"]
