"""Verifying finds every change to every file, and says where it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.checkpoints import write_checkpoint
from helpers.runs import Clock, commit_step, trained_run
from sojourn.checkpoint.bundle import INDEX_FILE, decode_index, encode_index
from sojourn.checkpoint.digest import CHUNK_BYTES, digest
from sojourn.checkpoint.files import load_file_set, read_verified
from sojourn.checkpoint.verify import verify_checkpoint, verify_run
from sojourn.errors import CorruptData
from sojourn.runlog.log import RunLog
from sojourn.store.memory import MemoryStore


def copied(store: MemoryStore) -> MemoryStore:
    twin = MemoryStore()
    for info in store.list():
        twin.put(info.key, store.read(info.key))
    return twin


def test_a_good_run() -> None:
    log = trained_run(MemoryStore(), Clock().env())
    seen: list[tuple[int, int]] = []
    report = verify_run(log, progress=lambda done, total: seen.append((done, total)))
    assert report.ok
    assert (report.entries, report.checkpoints, report.exports) == (6, 3, 1)
    assert report.files == 3 * 3 + 2
    assert report.chunks == report.files
    assert report.bytes == seen[-1][0] >= sum(commit.bytes for commit in log.state.commits)
    assert all(done <= total for done, total in seen)


_GOOD = trained_run(MemoryStore(), Clock().env())
_KEYS = [info.key for info in _GOOD.store.list() if "/job/" not in info.key]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_no_flipped_bit_in_any_file_goes_unnoticed(data: st.DataObject) -> None:
    assert isinstance(_GOOD.store, MemoryStore)
    store = copied(_GOOD.store)
    key = data.draw(st.sampled_from(_KEYS))
    stored = bytearray(store.read(key))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    store.put(key, stored)
    assert_found(store, key)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_truncated_extended_or_missing_file_goes_unnoticed(data: st.DataObject) -> None:
    assert isinstance(_GOOD.store, MemoryStore)
    store = copied(_GOOD.store)
    key = data.draw(st.sampled_from(_KEYS))
    stored = store.read(key)
    change = data.draw(st.sampled_from(["shorter", "longer", "gone"]))
    if change == "gone":
        store.delete(key)
    else:
        store.put(key, stored[: data.draw(st.integers(0, len(stored) - 1))] if change == "shorter" else stored + b"\0")
    assert_found(store, key)


def assert_found(store: MemoryStore, key: str) -> None:
    """A changed log may not even open; else the report names the log, checkpoint or export."""
    try:
        log = RunLog.open(store, _GOOD.prefix)
    except Exception:  # noqa: BLE001 which error is the log's business
        assert "/log/" in key
        return
    report = verify_run(log, expect_head=_GOOD.head)
    assert not report.ok
    assert any(key.startswith(problem.where) for problem in report.problems)


def test_one_bad_chunk_does_not_hide_the_next() -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, "run", "data/1-1-u", {"w": np.zeros(3 * CHUNK_BYTES + 5, np.uint8)})
    key = "run/data/1-1-u/ckpt.data-00000-of-00001"
    data = bytearray(store.read(key))
    data[0] = data[-1] = 1
    store.put(key, data)
    report = verify_checkpoint(store, "run", commit)
    assert (report.checkpoints, report.files, report.chunks) == (1, 2, 3)
    assert [problem.where for problem in report.problems] == ["run/data/1-1-u"] * 2
    assert "chunk 0" in report.problems[0].message
    assert "chunk 3 (bytes 25165824 to 25165828)" in report.problems[1].message


def test_an_index_that_tells_another_story_is_found() -> None:
    """Digests are right, and TensorFlow would still read other tensors than Sojourn."""
    store, clock = MemoryStore(), Clock()
    log = trained_run(store, clock.env(), steps=(10,))
    other = commit_step(log, 20)
    step = replace(other, step=21)
    assert "as step 21" in verify_checkpoint(store, log.prefix, step).problems[0].message

    class Swapped(MemoryStore):
        def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            data = store.read(key, offset, length)
            if key.endswith(INDEX_FILE) and length is None:
                index = decode_index(data, source=key)
                return encode_index(index.tensors[1:], index.shards)
            return data

        def stat(self, key: str):  # type: ignore[no-untyped-def]
            return store.stat(key)

    report = verify_checkpoint(Swapped(), log.prefix, other)
    assert "lists other tensors" in report.problems[0].message


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'{"files": [{}]}', b'{"files": [{"name": "a", "size": 1, "digest": "d", "chunks": ["x", "y"]}]}'],
)
def test_an_export_manifest_that_lists_no_files(body: bytes) -> None:
    store = MemoryStore()
    store.put("export/1/manifest.json", body)
    with pytest.raises(CorruptData, match="does not list files"):
        load_file_set(store, "export/1", digest(body))


def test_files_without_chunk_digests_are_checked_as_a_whole() -> None:
    store = MemoryStore()
    store.put("export/1/model", b"abc")
    body = b'{"files": [{"name": "model", "size": 3, "digest": "%s"}]}' % digest(b"abc").encode()
    store.put("export/1/manifest.json", body)
    files = load_file_set(store, "export/1", digest(body))
    assert files.total_bytes == 3 + len(body)
    assert b"".join(read_verified(store, "export/1", files.files[0])) == b"abc"
    for wrong in (b"abd", b"ab", b"abcd"):
        store.put("export/1/model", wrong)
        with pytest.raises(CorruptData):
            list(read_verified(store, "export/1", files.files[0]))
