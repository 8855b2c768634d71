"""Runs of every format version that was released stay readable, and today's version writes the same bytes.

The folders under tests/golden/run are never changed; a new format gets a new folder. v1 is a run that was trained,
lost its worker, was exported, retired from, fenced, taken over and moved at last, and the run that goes on from it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from helpers.checkpoints import write_checkpoint
from helpers.runs import Clock
from sojourn.checkpoint.commit import checkpoint_key
from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.files import record_file
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.sweep import delete_folder
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog import log as runlog
from sojourn.runlog.entries import Head
from sojourn.runlog.errors import Fenced
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Commit, Created, ExportInfo, KeepBest, Recipient
from sojourn.runlog.runs import create_run, find_run
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer import Destination, move_run

GOLDEN = Path(__file__).parents[2] / "golden" / "run" / "v1"
RUN_ID = "5f0c9a52-6f8e-4d0b-8a39-0a8f5d4c7b11"
HEADS = {
    "here": "44:blake3:649f2be04c8f6b769c160e2ee79867cd06269a1bee200b58195a860d39e2e2ff",
    "there": "2:blake3:cb4acb994e2f800d02598207267dd036fdaf8460bddfbf309e8d01bb2e8ca37b",
}


def expected(step: int) -> dict[str, npt.NDArray[Any]]:
    return {
        "model/dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3) / step,
        "optimizer/iterations": np.array(step, np.int64),
    }


@pytest.mark.parametrize("store", ["here", "there"])
def test_every_byte_of_it_verifies(store: str) -> None:
    log = find_run(PosixStore(GOLDEN / store), "digits", None)
    report = verify_run(log, expect_head=Head.parse(HEADS[store]))
    assert report.problems == ()
    for commit in log.state.commits:
        read = CheckpointReader(log.store, log.prefix, commit).read()
        assert set(read) == set(expected(commit.step))
        for name, array in expected(commit.step).items():
            np.testing.assert_array_equal(read[name], array)


def test_the_source_says_where_it_went() -> None:
    log = find_run(PosixStore(GOLDEN / "here"), "digits", None)
    state = log.state
    assert (state.run_id, state.namespace, state.name) == (RUN_ID, "team", "digits")
    assert (state.term, state.attempt_id, state.attempts, state.commits_made) == (2, "second", 2, 5)
    assert [(commit.step, commit.term, commit.metrics["acc"]) for commit in state.commits] == [
        (20, 1, 0.9),
        (40, 2, 0.25),
        (50, 2, float("inf")),
    ]
    assert [export.version for export in state.exports] == [3]
    assert [(pin.holder, pin.until) for pin in state.pins] == [("ünïcode", datetime(2030, 1, 1, tzinfo=UTC))]
    assert state.snapshot > 20
    with pytest.raises(Fenced, match="memory://there"):
        log.refuse_if_fenced()
    kinds = Counter(entry.type for entry in log.entries())
    every = {"created", "attempt", "commit", "export", "pin", "unpin", "retire", "fence", "takeover", "snapshot"}
    assert set(kinds) == every
    assert len(state.state_files) == 2


def test_the_child_goes_on_from_the_fence() -> None:
    source = find_run(PosixStore(GOLDEN / "here"), "digits", None).state
    state = find_run(PosixStore(GOLDEN / "there"), "digits", None).state
    assert state.parent is not None
    assert (state.parent.run_id, state.parent.fence, state.parent.term) == (RUN_ID, source.fence_digest, 2)
    assert [commit.step for commit in state.commits] == [50, 60]
    assert state.term == 3


def test_todays_writer_makes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "SNAPSHOT_EVERY", 10)
    monkeypatch.setattr(runlog, "MAX_ENTRY_BYTES", 4096)
    for store in write_golden():
        folder = GOLDEN / store.uri.removeprefix("memory://")
        written = {info.key: store.read(info.key) for info in store.list()}
        kept = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert sorted(written) == sorted(kept)
        for key, data in written.items():
            assert data == kept[key], key


def write_golden() -> tuple[MemoryStore, MemoryStore]:
    """The two stores, with snapshots that are more frequent and sooner in a file than usual, to stay small."""
    here, there = MemoryStore("here"), MemoryStore("there")
    clock = Clock()
    created = Created(
        run_id=RUN_ID,
        name="digits",
        namespace="team",
        spec_digest="blake3:" + "1" * 64,
        job_digest="blake3:" + "2" * 64,
        keep_best=KeepBest(metric="acc", mode="Max"),
    )
    log = create_run(here, created, clock.env())
    log.begin_attempt("first", {"workers": 2, "strategy": "MultiWorkerMirroredStrategy"})
    first, best, _ = [_save(log, clock, step, acc) for step, acc in ((10, 0.5), (20, 0.9), (30, float("nan")))]
    log.retire(term=1, keys=[first.checkpoint], reason="retention")
    delete_folder(here, f"{log.prefix}/{first.checkpoint}")
    log.begin_attempt("second", {"workers": 1})
    newest = _save(log, clock, 40, 0.25)
    _export(log)
    pins = [log.pin([best.checkpoint], holder=f"reader {number} {'x' * 300}", until=None) for number in range(12)]
    for pin in pins:
        log.unpin(pin)
    log.pin([best.checkpoint], holder="ünïcode", until=datetime(2030, 1, 1, tzinfo=UTC))
    lost = Recipient(run_id="lost", run="team/lost", store="s3://bucket/lost", cluster="west")
    log.fence(expected_term=2, expected_commit=newest.manifest, recipient=lost, migration_id="first try")
    log.takeover(fence=log.state.fence_digest, reason="west burnt down", person="ada")
    _save(log, clock, 50, float("inf"))
    log.retire(term=2, keys=[log.state.commits[1].checkpoint], reason="retention")
    delete_folder(here, f"{log.prefix}/data/30-1-{_unique(30)}")
    child = move_run(log, Destination(there), migration_id="second try", env=clock.env()).child
    child.begin_attempt("third", {"workers": 4})
    _save(child, clock, 60, 0.75)
    return here, there


def _unique(step: int) -> str:
    return f"00000000-0000-4000-8000-{step:012x}"


def _save(log: RunLog, clock: Clock, step: int, accuracy: float) -> Commit:
    clock.time += timedelta(minutes=1)
    state = log.refresh()
    folder = checkpoint_key(step, state.term, _unique(step))
    _, info = write_checkpoint(log.store, log.prefix, folder, expected(step), shards=2, step=step)
    info = replace(info, metrics={"acc": accuracy}, epoch=step // 10, samples=64 * step)
    return log.commit(term=state.term, attempt_id=state.attempt_id, commit=info)


def _export(log: RunLog) -> None:
    folder = f"{log.prefix}/export/3"
    log.store.put(f"{folder}/model.keras", b"model")
    body = json.dumps({"files": [record_file(log.store, folder, "model.keras").to_json()]}).encode()
    log.store.put(f"{folder}/manifest.json", body)
    log.export(ExportInfo(version=3, key="export/3", manifest=digest(body), step=40, formats=("Keras",), bytes=5))
