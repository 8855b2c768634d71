"""Writers that know nothing of each other: threads on the store in memory, processes on a directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from helpers import races
from helpers.logs import PREFIX, account, created, digest
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import run_prefix
from sojourn.runlog.verify import verify_chain
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore

Race = Callable[[races.Racer, Sequence[tuple[Any, ...]]], list[list[Any]]]


@pytest.fixture(params=["threads", "processes"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[1, pytest.param(5, marks=pytest.mark.long)])
def scale(request: pytest.FixtureRequest) -> int:
    """How many times the short race the race is."""
    return int(request.param)


@pytest.fixture
def store(kind: str, fast_folder: Path) -> Store:
    return MemoryStore() if kind == "threads" else PosixStore(fast_folder)


@pytest.fixture
def race(kind: str, store: Store, fast_folder: Path) -> Race:
    if kind == "threads":
        return lambda racer, arguments: races.in_threads(racer, store, arguments)
    return lambda racer, arguments: races.in_processes(racer, str(fast_folder), arguments)


def test_one_winner_for_each_of_thousands_of_entries(store: Store, race: Race, scale: int) -> None:
    rounds = 1000 * scale
    won = race(races.win_entries, [(PREFIX, me, rounds) for me in "abc"])
    assert sorted(index for numbers in won for index in numbers) == list(range(rounds))
    for me, numbers in zip("abc", won, strict=True):
        for index in numbers[:100]:
            assert f'"nonce":"{me}-{index}"'.encode() in store.read(f"{PREFIX}/log/{index:020}.json")


def test_what_several_append_is_all_there_once(store: Store, race: Race, scale: int) -> None:
    RunLog.create(store, PREFIX, created(), races.ENV)
    promised = [pin for pins in race(races.pin_often, [(PREFIX, me, 100 * scale) for me in "abc"]) for pin in pins]
    entries = account(store)
    assert sorted(entry["pinId"] for entry in entries if entry["type"] == "pin") == sorted(promised)
    assert sum(entry["type"] == "unpin" for entry in entries) == 150 * scale
    assert verify_chain(RunLog.open(store, PREFIX)).snapshots >= 4 * scale


def test_an_older_term_never_commits_after_a_newer_one_began(store: Store, race: Race, kind: str, scale: int) -> None:
    runs, each = {"threads": (10 * scale, 100), "processes": (1, 60 * scale)}[kind]
    attempts = 0
    for number in range(runs):
        prefix = run_prefix("digits", str(UUID(int=number)))
        RunLog.create(store, prefix, created(run_id=str(UUID(int=number))), races.ENV)
        promised = [commit for done in race(races.train, [(prefix, me, each) for me in "abc"]) for commit in done]
        entries = account(store, prefix)
        committed = [(entry["term"], entry["checkpoint"]) for entry in entries if entry["type"] == "commit"]
        assert sorted(committed) == sorted(promised)
        assert len(committed) == 3 * each
        attempts += sum(entry["type"] == "attempt" for entry in entries)
    assert attempts >= 3 * runs * each / 5  # one for five commits where nobody is shut out


def test_nothing_commits_after_a_fence(store: Store, race: Race, kind: str, scale: int) -> None:
    runs = {"threads": 500, "processes": 30}[kind] * scale
    prefixes = [run_prefix("digits", str(UUID(int=number))) for number in range(runs)]
    for number, prefix in enumerate(prefixes):
        RunLog.create(store, prefix, created(run_id=str(UUID(int=number))), races.ENV)
    promised, fences = race(races.train_or_hand_over, [("train", prefixes), ("hand over", prefixes)])
    assert len(fences) == len(prefixes)
    for prefix, manifest, _ in fences:
        entries = account(store, prefix)
        commits = [entry["checkpoint"] for entry in entries if entry["type"] == "commit"]
        assert commits == [checkpoint for where, checkpoint in promised if where == prefix]
        assert manifest == digest(commits[-1]) == next(e["manifest"] for e in entries if e["type"] == "fence")


def test_one_hand_over_wins(store: Store, race: Race, kind: str, scale: int) -> None:
    runs = {"threads": 1000, "processes": 100}[kind] * scale
    prefixes = [run_prefix("digits", str(UUID(int=number))) for number in range(runs)]
    for number, prefix in enumerate(prefixes):
        RunLog.create(store, prefix, created(run_id=str(UUID(int=number))), races.ENV)
    won = race(races.compete_to_hand_over, [(prefixes, me) for me in "abc"])
    assert sorted(prefix for mine in won for prefix in mine) == sorted(prefixes)
    for me, mine in zip("abc", won, strict=True):
        for prefix in mine[:20]:
            fenced_to = RunLog.open(store, prefix).state.fenced_to
            assert fenced_to is not None
            assert fenced_to.run_id == me
