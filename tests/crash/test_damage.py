"""Bit rot, cut and swapped files, forged logs and wrong clocks: never silently wrong data."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from blake3 import blake3

from crash.damage import Damage, Original, cuts, flips, judge, original, swaps
from helpers.logs import account
from helpers.runs import Clock, assert_holds, commit_step, new_run
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import CorruptData
from sojourn.runlog.entries import entry_key
from sojourn.runlog.errors import StaleTerm
from sojourn.runlog.log import RunLog
from sojourn.store.memory import MemoryStore

_FIRST_DAY, _LAST_DAY = datetime(1971, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=[0, pytest.param(100, marks=pytest.mark.long)], ids=["short", "with a snapshot"])
def run(request: pytest.FixtureRequest) -> Original:
    return original(entries=request.param)


@pytest.fixture(params=[200, pytest.param(1000, marks=pytest.mark.long)])
def places(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_flipped_bits(run: Original, places: int) -> None:
    outcomes = Counter(judge(run, damage) for damage in flips(run, places, seed=1))
    assert outcomes.total() == places
    assert outcomes["CorruptData"] > places // 20
    assert set(outcomes) <= {"CorruptData", "UnsupportedLog", "as it was"}


def test_cut_and_missing_files(run: Original, places: int) -> None:
    outcomes = Counter(judge(run, damage) for damage in cuts(run, places, seed=2))
    assert outcomes.total() > places * 0.9
    assert outcomes["CorruptData"] > places // 20
    assert set(outcomes) <= {"CorruptData", "as it was"}


def test_swapped_files(run: Original) -> None:
    outcomes = Counter(judge(run, damage) for damage in swaps(run))
    assert outcomes.total() > 30
    assert set(outcomes) <= {"CorruptData", "as it was"}


def test_a_log_forged_from_any_entry_on_is_found_by_whoever_holds_the_head(run: Original) -> None:
    """A forger who writes every later entry anew can make a log that is right in itself; the head gives him away."""
    for first in range(1, run.log.head.index + 1):
        damage = Damage(f"forged from entry {first} on", _forge(run, first))
        assert judge(run, damage) in ("CorruptData", "as it was")


def test_a_cut_tail_is_found_by_whoever_holds_the_head(run: Original) -> None:
    for last in range(run.log.head.index):
        gone = [entry_key(run.log.prefix, index) for index in range(last + 1, run.log.head.index + 1)]
        judge(run, Damage(f"cut after entry {last}", dict.fromkeys(gone)))
        for key in gone:
            run.store.delete(key)
        with pytest.raises(CorruptData, match="before the expected"):
            RunLog.open(run.store, run.log.prefix, expect_head=run.log.head)
        run.restore(gone)


def test_a_forged_manifest_is_found(run: Original) -> None:
    """Also one that fits to its files in itself: the log names another digest."""
    for commit in run.log.state.commits:
        key = f"{run.log.prefix}/{commit.checkpoint}/manifest.json"
        manifest = json.loads(run.files[key])
        changes: list[dict[str, Any]] = [{"step": 12345}, {"tensors": []}, {"seed": 1}]
        for change in [*changes, {"files": manifest["files"][::-1]}]:
            forged = json.dumps(manifest | change, separators=(",", ":")).encode()
            assert judge(run, Damage(f"{key} forged", {key: forged})) == "CorruptData"


@pytest.mark.parametrize("seed", range(5))
def test_clocks_that_jump_decide_nothing(seed: int) -> None:
    """Each writer's clock jumps by years before everything it does; who may commit, and what exists, is the same."""
    lot, clock = random.Random(seed), Clock()

    def jump() -> None:
        clock.forward(seconds=lot.choice((-1, 1)) * lot.random() * timedelta(days=20_000).total_seconds())
        clock.time = min(max(clock.time, _FIRST_DAY), _LAST_DAY)

    log = new_run(MemoryStore(), clock.env())
    older = RunLog.open(log.store, log.prefix, env=clock.env())
    for attempt in range(3):
        jump()
        log.begin_attempt(f"attempt {attempt}")
        for step in range(2):
            jump()
            commit_step(log, 10 * attempt + step)
    with pytest.raises(StaleTerm):
        older.retire(term=1, keys=[log.state.commits[0].checkpoint])
    account(log.store, log.prefix)
    opened = RunLog.open(log.store, log.prefix)
    assert [commit.step for commit in opened.state.commits] == [0, 1, 10, 11, 20, 21]
    assert_holds(opened, 21)
    assert verify_run(opened).ok


def _forge(run: Original, first: int) -> dict[str, bytes | None]:
    """The log with other metrics or ids from entry `first` on, its sums and its chain made right again."""
    forged: dict[str, bytes | None] = {}
    before = ""
    for index in range(run.log.head.index + 1):
        key = entry_key(run.log.prefix, index)
        data = run.files[key]
        if index >= first:
            content = json.loads(data)
            content.pop("sum")
            content["prev"] = before
            if index == first:
                content["nonce"] = "forged"
            rest = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
            data = rest + f',"sum":"{blake3(rest).hexdigest()}"}}'.encode()
            forged[key] = data
        before = f"blake3:{blake3(data).hexdigest()}"
    return forged
