"""Logs that were changed after they were written."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from helpers.logs import PREFIX, digest, filled, tamper
from sojourn.errors import CorruptData
from sojourn.runlog.entries import Head, entry_key
from sojourn.runlog.log import RunLog
from sojourn.runlog.verify import ChainReport, verify_chain
from sojourn.store.base import Store


@pytest.fixture
def long_log(log: RunLog) -> RunLog:
    return filled(log, 130)


def test_an_untouched_log_passes(long_log: RunLog) -> None:
    early = Head(3, next(long_log.entries(3)).digest)
    assert verify_chain(long_log, early) == ChainReport(long_log.head.index + 1, 2, long_log.head)
    assert verify_chain(RunLog.open(long_log.store, PREFIX), long_log.head).entries == long_log.head.index + 1


@pytest.mark.parametrize("index", [0, 5, 99, 100, 150])
def test_a_flipped_byte_is_found_wherever_it_is(long_log: RunLog, index: int) -> None:
    tamper(long_log.store, entry_key(PREFIX, index), lambda data: data.replace(b'"time":"2026', b'"time":"2027'))
    with pytest.raises(CorruptData):
        verify_chain(long_log)


def test_readers_check_from_the_newest_snapshot_on(long_log: RunLog) -> None:
    tamper(long_log.store, entry_key(PREFIX, 5), lambda data: data + b" ")
    assert RunLog.open(long_log.store, PREFIX).state == long_log.state
    tamper(long_log.store, entry_key(PREFIX, 210), lambda data: data + b" ")
    with pytest.raises(CorruptData, match=r"entry 211 of run .* does not follow entry 210") as caught:
        RunLog.open(long_log.store, PREFIX)
    assert "changed after it was written" in caught.value.hint


def test_a_missing_entry_is_found(long_log: RunLog, store: Store) -> None:
    store.delete(entry_key(PREFIX, 42))
    with pytest.raises(CorruptData, match=r"00042\.json is missing"):
        verify_chain(long_log)


def test_a_cut_tail_is_found_by_whoever_holds_a_head(long_log: RunLog, store: Store) -> None:
    held = long_log.head
    for index in range(held.index - 4, held.index + 1):
        store.delete(entry_key(PREFIX, index))
    cut = RunLog.open(store, PREFIX)
    assert verify_chain(cut).entries == held.index - 4
    with pytest.raises(CorruptData, match=r"ends at entry \d+, before the expected"):
        RunLog.open(store, PREFIX, expect_head=held)


def test_a_log_that_was_rewritten_is_found_by_whoever_holds_a_head(long_log: RunLog, store: Store) -> None:
    held = long_log.head
    store.delete(entry_key(PREFIX, held.index))
    other = RunLog.open(store, PREFIX)
    other.begin_attempt("somebody else")
    other.begin_attempt("and again")
    with pytest.raises(CorruptData, match="was expected"):
        RunLog.open(store, PREFIX, expect_head=held)
    assert RunLog.open(store, PREFIX, expect_head=other.head).head == other.head


def test_an_old_head_may_be_expected(long_log: RunLog) -> None:
    first = Head(0, next(long_log.entries()).digest)
    RunLog.open(long_log.store, PREFIX, expect_head=first)
    with pytest.raises(CorruptData):
        RunLog.open(long_log.store, PREFIX, expect_head=Head(0, digest("x")))


@pytest.mark.parametrize("name", ["00000000000000000999.json", "notes.txt", "000.json"])
def test_a_strangers_file_in_the_log_is_found(long_log: RunLog, store: Store, name: str) -> None:
    store.put(f"{PREFIX}/log/{name}", b"{}")
    with pytest.raises(CorruptData, match=f"holds {name}"):
        verify_chain(long_log)


def _rechained(store: Store, first: int, change: Callable[[dict[str, object]], None]) -> None:
    """Change an entry and write every later one anew, so that the chain of digests holds again."""
    from helpers.logs import digest_of

    previous = ""
    for number, item in enumerate(list(store.list(f"{PREFIX}/log"))):
        data = store.read(item.key)
        if number >= first:
            content = json.loads(data)
            content.pop("sum")
            if number == first:
                change(content)
            else:
                content["prev"] = previous
            data = json.dumps(content, separators=(",", ":")).encode()
            store.put(item.key, data)
        previous = digest_of(data)


@pytest.mark.parametrize(
    ("index", "change", "message"),
    [
        (2, {"term": 7}, r"\(commit\) breaks the log's rules: it is of term 7, and attempt 'a1' holds 1"),
        (1, {"term": 5}, r"\(attempt\) breaks the log's rules: its term is 5 where 1 is next"),
        (6, {"term": 0}, r"\(retire\) breaks the log's rules: it is of term 0, and the newest is 1"),
        (3, {"snapshot": 1}, "names 1 as the newest snapshot, not 0"),
        (100, {"state": {"created": {}, "head": {"index": 99, "digest": "x"}}}, "snapshot entry 100 .* not readable"),
    ],
)
def test_entries_that_break_the_rules_are_found(
    long_log: RunLog, store: Store, index: int, change: dict[str, object], message: str
) -> None:
    _rechained(store, index, lambda content: content.update(change))
    with pytest.raises(CorruptData, match=message):
        verify_chain(long_log)


def test_a_snapshot_that_lies_is_found(long_log: RunLog, store: Store) -> None:
    def drop_a_commit(content: dict[str, object]) -> None:
        state = content["state"]
        assert isinstance(state, dict)
        state["commits"].pop()

    _rechained(store, 100, drop_a_commit)
    with pytest.raises(CorruptData, match=r"snapshot entry 100 .* is not the state of the entries before it"):
        verify_chain(long_log)


def test_a_log_begins_with_created(store: Store, long_log: RunLog) -> None:
    _rechained(store, 0, lambda content: content.update(type="unpin", pinId="x"))
    with pytest.raises(CorruptData, match="begins with a created entry"):
        verify_chain(long_log)
