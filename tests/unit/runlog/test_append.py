"""Answers that cannot be trusted: what landed is found out by reading back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from helpers.logs import IMPATIENT, PREFIX, LyingStore, account, created, info
from sojourn.errors import StoreError
from sojourn.runlog.append import land
from sojourn.runlog.entries import Place, encode, entry_key
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.store.base import Buffer, StoreDenied
from sojourn.store.memory import MemoryStore

KEY = entry_key(PREFIX, 0)


def _entry(nonce: str) -> bytes:
    return encode(created(), Place(0, "", 0), nonce, IMPATIENT.now())[1]


def _liar(*lies: str) -> LyingStore:
    told: Iterator[str] = chain(lies, repeat("none"))
    return LyingStore(MemoryStore(), choose=lambda: next(told))


@pytest.mark.parametrize("lie", LyingStore.LIES)
def test_a_writer_wins_whatever_he_is_told(lie: str) -> None:
    store = _liar(lie)
    assert land(store, KEY, _entry("mine"), IMPATIENT)
    store.land_late()
    assert b'"nonce":"mine"' in store.inner.read(KEY)


@pytest.mark.parametrize("lie", LyingStore.LIES)
def test_a_writer_loses_whatever_he_is_told(lie: str) -> None:
    store = _liar(lie)
    store.inner.create(KEY, _entry("theirs"))
    assert not land(store, KEY, _entry("mine"), IMPATIENT)
    store.land_late()
    assert b'"nonce":"theirs"' in store.inner.read(KEY)


def test_a_request_that_is_still_under_way_can_only_land_the_same_entry() -> None:
    store = _liar("late", "late", "conflict without landing")
    assert land(store, KEY, _entry("mine"), IMPATIENT)
    before = store.inner.read(KEY)
    store.land_late()
    assert store.inner.read(KEY) == before


def test_what_landed_is_confirmed_before_it_counts() -> None:
    """An entry can be visible before its folder is synced; the store is asked again, and says that it exists."""
    store = _liar("nothing landed", "success fails", "success fails")
    waits: list[float] = []
    assert land(store, KEY, _entry("mine"), Env(sleep=waits.append))
    assert waits == [0.05, 0.1]


def test_a_store_that_is_gone_is_reported_with_what_it_said() -> None:
    store = _liar(*["nothing landed"] * 8)
    with pytest.raises(StoreError, match=r"8 tries did not show whether .*0000\.json was written: .*refused"):
        land(store, KEY, _entry("mine"), IMPATIENT)


def test_a_store_that_denies_stays_denied() -> None:
    class Denying(MemoryStore):
        def create(self, key: str, data: Buffer) -> None:
            raise StoreDenied(f"cannot create {key}: 403", hint="Check the policy.")

    with pytest.raises(StoreDenied, match="403") as caught:
        land(Denying(), KEY, _entry("mine"), IMPATIENT)
    assert caught.value.hint == "Check the policy."


def test_an_unreadable_store_is_reported() -> None:
    store = LyingStore(MemoryStore(), choose=lambda: "success fails", read_fails=lambda: True)
    with pytest.raises(StoreError, match="8 tries"):
        land(store, KEY, _entry("mine"), IMPATIENT)


def test_asking_again_after_an_unknown_outcome_records_a_commit_once() -> None:
    store = LyingStore(MemoryStore(), choose=lambda: "none")
    log = RunLog.create(store, PREFIX, created(), IMPATIENT)
    log.begin_attempt("a1")
    store.choose = lambda: "late"
    with pytest.raises(StoreError):
        log.commit(term=1, attempt_id="a1", commit=info(1))
    assert log.state.commits == ()
    store.land_late()
    store.choose = lambda: "none"
    assert log.commit(term=1, attempt_id="a1", commit=info(1)).index == 2
    assert log.commit(term=1, attempt_id="a1", commit=info(2)).index == 3
    assert [entry["type"] for entry in account(store.inner)] == ["created", "attempt", "commit", "commit"]
