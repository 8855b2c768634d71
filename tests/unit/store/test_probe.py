"""The probe passes every store that keeps the contract, and catches the ways in which others do not."""

from __future__ import annotations

import threading

import pytest

from helpers.logs import LyingStore
from sojourn.errors import StoreError
from sojourn.store.base import Buffer, KeyExists, KeyMissing, NoExclusiveCreate, Store
from sojourn.store.memory import MemoryStore
from sojourn.store.probe import probe_exclusive_create


def test_stores_that_keep_the_contract_pass_and_are_left_clean(store: Store) -> None:
    probe_exclusive_create(store, rounds=5)
    assert list(store.list()) == []


class IgnoresCondition(MemoryStore):
    """An old S3 clone: it does not know If-None-Match and overwrites."""

    def create(self, key: str, data: Buffer) -> None:
        self.put(key, data)


class ChecksThenWrites(MemoryStore):
    """A FUSE mount: it looks whether the name is free, and then uploads."""

    def __init__(self) -> None:
        super().__init__()
        self._both = threading.Barrier(2)

    def create(self, key: str, data: Buffer) -> None:
        try:
            self.stat(key)
        except KeyMissing:
            self._both.wait(10)
            self.put(key, data)
        else:
            raise KeyExists(key)


class LetsNobodyWin(MemoryStore):
    def create(self, key: str, data: Buffer) -> None:
        raise KeyExists(key)


@pytest.mark.parametrize("unfit", [IgnoresCondition, ChecksThenWrites, LetsNobodyWin])
def test_unfit_stores_are_refused(unfit: type[MemoryStore]) -> None:
    store = unfit()
    with pytest.raises(NoExclusiveCreate, match="memory://store") as caught:
        probe_exclusive_create(store)
    assert "NFS" in caught.value.hint
    assert list(store.list()) == []


def test_a_store_that_cannot_be_written_says_why() -> None:
    unreachable = LyingStore(MemoryStore(), choose=lambda: "nothing landed")
    with pytest.raises(StoreError, match="connection was refused"):
        probe_exclusive_create(unreachable)


def test_an_answer_that_was_lost_is_no_reason_to_refuse() -> None:
    probe_exclusive_create(LyingStore(MemoryStore(), choose=lambda: "repeated"))
