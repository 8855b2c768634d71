"""Two movers and a run that trains on: the second round brings what changed, and the status says what was sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from helpers.checkpoints import write_checkpoint
from helpers.movers import pair
from helpers.runs import Clock, new_run
from sojourn.checkpoint.commit import checkpoint_key
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

COUNT = 3_000_000


def commit(log: RunLog, step: int, weights: np.ndarray) -> None:
    folder = checkpoint_key(step, log.state.term, f"u{step}")
    _, info = write_checkpoint(log.store, log.prefix, folder, {"frozen": FROZEN, "weights": weights}, step=step)
    log.commit(term=log.state.term, attempt_id=log.state.attempt_id, commit=info)


FROZEN = np.random.default_rng(0).standard_normal(COUNT).astype(np.float32)


def test_the_second_round_sends_a_part_of_the_state_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    source = new_run(here, Clock().env())
    source.begin_attempt("first")
    weights = (rng.standard_normal(COUNT) * 0.05).astype(np.float32)
    commit(source, 1, weights)
    moved = (weights * (1 + 1e-5 * rng.standard_normal(COUNT))).astype(np.float32)
    # Coding is faster than this link, however busy the machine is.
    with pair(tmp_path, str(here.root), str(there.root), {"mode": "Move", "bandwidthLimit": "10M"}) as both:
        first = both.receive.wait(lambda status: status.get("phase") == "Verified")["verified"]
        commit(source, 2, moved)
        both.receive.edit(round=2)
        again = both.receive.wait(lambda status: status["verified"]["round"] == 2)["verified"]
        both.fence()
        both.send.wait(lambda status: "fenced" in status)
        both.hand_over()
        for mover in (both.receive, both.send):
            code, log = mover.end()
            assert (code, mover.status["phase"]) == (0, "Succeeded"), log
    assert first["bytes"] == again["bytes"] > 8 * COUNT
    assert first["reusedBytes"] == 0
    assert first["copiedBytes"] <= first["bytes"]
    # One whole chunk of the frozen tensor is there; the weights come as differences.
    assert again["reusedBytes"] >= 8 << 20
    assert again["copiedBytes"] < 4 * COUNT
    child = find_run(there, "digits", "team")
    assert verify_run(child).ok
    latest = child.state.latest
    assert latest is not None
    read = CheckpointReader(there, child.prefix, latest).read()
    np.testing.assert_array_equal(read["weights"], moved)
    np.testing.assert_array_equal(read["frozen"], FROZEN)
