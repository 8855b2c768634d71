"""What every store promises; each implementation is held to all of it."""

from __future__ import annotations

import threading

import pytest

from sojourn.errors import InvalidInput
from sojourn.store import ranges
from sojourn.store.base import KeyExists, KeyMissing, ObjectInfo, Store

BAD_KEYS = ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/./b", "a/", "a\x00b", "a\\b", "a/.sojourn-tmp-1", "x" * 300]


def test_is_a_store(store: Store) -> None:
    assert isinstance(store, Store)
    assert store.concurrency >= 1


def test_create_is_exclusive(store: Store) -> None:
    store.create("runs/log/0.json", b"first")
    with pytest.raises(KeyExists):
        store.create("runs/log/0.json", b"second")
    assert store.read("runs/log/0.json") == b"first"


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4096])
def test_put_replaces_whole_objects(store: Store, data: bytes) -> None:
    store.put("a/b", b"old and longer than the new one")
    store.put("a/b", data)
    assert store.read("a/b") == data
    assert store.stat("a/b") == ObjectInfo("a/b", len(data))


@pytest.mark.parametrize("buffer", [bytearray(b"abcd"), memoryview(b"abcd"), memoryview(bytearray(b"abcd")).cast("H")])
def test_any_buffer_is_written(store: Store, buffer: bytearray | memoryview) -> None:
    store.create("created", buffer)
    store.put("put", buffer)
    with store.open_writer("streamed") as writer:
        writer.write(buffer)
        writer.write(buffer)
    assert [store.read(key) for key in ("created", "put", "streamed")] == [b"abcd", b"abcd", b"abcdabcd"]


def test_ranges(store: Store) -> None:
    store.put("a", b"0123456789")
    assert store.read("a", 3) == b"3456789"
    assert store.read("a", 3, 4) == b"3456"
    assert store.read("a", 0, 0) == b""
    assert store.read("a", 8, 100) == b"89"
    assert store.read("a", 10) == b""
    assert store.read("a", 20, 5) == b""


def test_ranges_into_memory_that_is_there(store: Store) -> None:
    store.put("a", b"0123456789")
    for offset, length, found in [(0, 10, b"0123456789"), (3, 4, b"3456"), (8, 5, b"89"), (10, 1, b""), (20, 5, b"")]:
        target = bytearray(b"-" * length)
        ranges.expect(store, "a", offset, length)
        assert ranges.fill(store, "a", offset, memoryview(target)) == len(found)
        assert target == found + b"-" * (length - len(found))
    assert ranges.fill(store, "a", 3, memoryview(bytearray())) == 0
    for key in ("none", "a/none"):
        ranges.expect(store, key, 0, 1)
        with pytest.raises(KeyMissing):
            ranges.fill(store, key, 0, memoryview(bytearray(1)))


def test_missing_objects(store: Store) -> None:
    store.put("a/b", b"")
    for key in ("none", "a/none", "a", "a/b/c"):
        with pytest.raises(KeyMissing):
            store.read(key)
        with pytest.raises(KeyMissing):
            store.read(key, 5, 5)
        with pytest.raises(KeyMissing):
            store.stat(key)
    assert list(store.list("none")) == []
    assert list(store.list_folders("none")) == []


def test_delete(store: Store) -> None:
    store.put("a/b/c", b"1")
    store.put("a/d", b"2")
    store.delete("a/b/c")
    store.delete("a/b/c")
    store.delete("a/b")
    store.delete("never/was")
    assert [info.key for info in store.list()] == ["a/d"]
    assert list(store.list_folders("a")) == []
    store.create("a/b/c", b"again")
    assert store.read("a/b/c") == b"again"


def test_a_listing_is_in_key_order_and_knows_sizes(store: Store) -> None:
    keys = ["a/b/2", "a/b/10", "a/b-x/1", "a/c", "a.x", "b", "a/b/z/z", "é/ü"]
    for key in keys:
        store.put(key, key.encode())
    assert list(store.list()) == [ObjectInfo(key, len(key.encode())) for key in sorted(keys)]
    assert [info.key for info in store.list("a")] == [key for key in sorted(keys) if key.startswith("a/")]
    assert [info.key for info in store.list("a/b/")] == ["a/b/10", "a/b/2", "a/b/z/z"]
    assert list(store.list("a/c")) == []
    for start in [*keys, "a/b", "a/b/z", "0", "zz", "ê"]:
        assert [info.key for info in store.list(start_after=start)] == sorted(key for key in keys if key > start)
        assert [info.key for info in store.list("a", start_after=start)] == sorted(
            key for key in keys if key > start and key.startswith("a/")
        )


def test_folders(store: Store) -> None:
    for key in ("a/b/1", "a/b/2", "a/c/d/e", "a/f", "g", "a-/h"):
        store.put(key, b"")
    assert list(store.list_folders()) == ["a", "a-"]
    assert list(store.list_folders("a")) == ["b", "c"]
    assert list(store.list_folders("a/c/")) == ["d"]
    assert list(store.list_folders("a/b")) == []


def test_a_writer_streams(store: Store) -> None:
    parts = [bytes([i]) * (3 << 20) for i in range(5)]
    with store.open_writer("big") as writer:
        for part in parts:
            writer.write(part)
        with pytest.raises(KeyMissing):
            store.stat("big")
    assert store.read("big") == b"".join(parts)
    assert store.read("big", (3 << 20) - 1, 2) == b"\x00\x01"
    with store.open_writer("empty"):
        pass
    assert store.read("empty") == b""


@pytest.mark.parametrize("size", [10, 12 << 20])
def test_a_writer_that_fails_leaves_nothing(store: Store, size: int) -> None:
    store.put("kept", b"old")

    def fail(key: str) -> None:
        with store.open_writer(key) as writer:
            writer.write(b"x" * size)
            raise OSError("the caller's own trouble")

    for key in ("new", "kept"):
        with pytest.raises(OSError, match="own trouble"):
            fail(key)
    assert list(store.list()) == [ObjectInfo("kept", 3)]
    assert store.read("kept") == b"old"


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused(store: Store, key: str) -> None:
    with pytest.raises(InvalidInput):
        store.create(key, b"")
    with pytest.raises(InvalidInput):
        store.put(key, b"")
    with pytest.raises(InvalidInput), store.open_writer(key):
        pass
    with pytest.raises(InvalidInput):
        store.read(key)
    with pytest.raises(InvalidInput):
        store.delete(key)
    if key not in ("", "a/"):
        with pytest.raises(InvalidInput):
            list(store.list(key))


def test_free_room_is_a_number_or_unknown(store: Store) -> None:
    free = store.free_bytes()
    assert free is None or free > 0


def test_threads_race_and_one_wins_each_key(store: Store) -> None:
    # SeaweedFS makes writers that meet wait for a second: few meetings are enough for it.
    writers, race_rounds = (2, 100) if store.uri.startswith("s3:") else (4, 500)
    won: list[list[int]] = [[] for _ in range(writers)]
    barrier = threading.Barrier(writers)

    def write(me: int) -> None:
        for number in range(race_rounds):
            if number % 10 == 0:
                barrier.wait(60)
            try:
                store.create(f"race/{number:05}", f"{me}".encode())
            except KeyExists:
                continue
            won[me].append(number)

    threads = [threading.Thread(target=write, args=(me,)) for me in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for numbers in won for number in numbers) == list(range(race_rounds))
    for me, numbers in enumerate(won):
        assert all(store.read(f"race/{number:05}") == f"{me}".encode() for number in numbers[:50])
