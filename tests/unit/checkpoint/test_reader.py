"""Finishing and reading checkpoints: all of it back, only what is touched is read, damage is found and named."""

from __future__ import annotations

import dataclasses
import threading
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.checkpoints import sample_tensors, write_checkpoint, write_shard
from sojourn.checkpoint.commit import checkpoint_key, finish, shard_key
from sojourn.checkpoint.digest import CHUNK_BYTES, digest
from sojourn.checkpoint.dtypes import ELEMENT_TYPES
from sojourn.checkpoint.manifest import CheckpointMeta
from sojourn.checkpoint.reader import CheckpointReader, load_manifest
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.store.base import KeyMissing
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore

RUN = "local/digits-1"
FOLDER = checkpoint_key(7, 2, "u")


class CountingStore(MemoryStore):
    """Remembers which ranges of data files were read."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[str, int, int]] = []

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        data = super().read(key, offset, length)
        if ".data-" in key:
            self.ranges.append((key.rpartition("/")[2], offset, len(data)))
        return data


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_everything_comes_back(shards: int) -> None:
    store = MemoryStore()
    tensors = sample_tensors()
    _, commit = write_checkpoint(store, RUN, FOLDER, tensors, shards=shards)
    reader = CheckpointReader(store, RUN, commit)
    assert reader.names() == sorted(tensors)
    assert "optimizer/iterations" in reader
    assert "other" not in reader
    read = reader.read()
    for name, array in tensors.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


def test_arrays_are_the_readers_own_and_writable() -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, {"w": np.ones(3, np.float32)})
    reader = CheckpointReader(store, RUN, commit)
    reader.tensor("w")[:] = 5
    np.testing.assert_array_equal(reader.tensor("w"), np.ones(3, np.float32))


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
        st.tuples(st.sampled_from(ELEMENT_TYPES), st.lists(st.integers(0, 4), max_size=3)),
        max_size=8,
    ),
    st.integers(1, 3),
)
def test_any_names_types_and_shapes(layout: dict[str, tuple[object, list[int]]], shards: int) -> None:
    rng = np.random.default_rng(len(layout))
    tensors = {
        name: rng.integers(0, 2, size=shape).astype(kind.numpy)  # type: ignore[attr-defined]
        for name, (kind, shape) in layout.items()
    }
    store = MemoryStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, tensors, shards=shards)
    read = CheckpointReader(store, RUN, commit).read()
    assert set(read) == set(tensors)
    for name, array in tensors.items():
        assert (read[name].dtype, read[name].shape, read[name].tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_bfloat16_comes_back_as_its_own_type() -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, {"w": np.array([1.5], ml_dtypes.bfloat16)})
    assert CheckpointReader(store, RUN, commit).tensor("w").dtype == ml_dtypes.bfloat16


def test_a_partial_read_touches_only_its_chunks_and_each_once() -> None:
    store = CountingStore()
    size = CHUNK_BYTES // 4
    tensors = {f"t{number}": np.full(size // 2, number, np.float32) for number in range(8)}
    _, commit = write_checkpoint(store, RUN, FOLDER, tensors)
    reader = CheckpointReader(store, RUN, commit)
    # Each tensor is half a chunk: 4 and 5 share the third, 5 being its second half.
    read = reader.read(["t5", "t4"])
    assert store.ranges == [("ckpt.data-00000-of-00001", 2 * CHUNK_BYTES, CHUNK_BYTES)]
    np.testing.assert_array_equal(read["t5"], tensors["t5"])


def test_a_tensor_over_several_chunks() -> None:
    store = CountingStore()
    tensors = {"a": np.arange(5, dtype=np.int64), "b": np.arange(2_500_000, dtype=np.int64)}
    _, commit = write_checkpoint(store, RUN, FOLDER, tensors)
    np.testing.assert_array_equal(CheckpointReader(store, RUN, commit).tensor("b"), tensors["b"])
    assert [length for _, _, length in store.ranges] == [CHUNK_BYTES, CHUNK_BYTES, 20_000_040 - 2 * CHUNK_BYTES]


def buffers(reader: CheckpointReader, names: list[str] | None = None) -> dict[str, bytearray]:
    return {name: bytearray(reader.entry(name).length) for name in names or reader.names()}


@pytest.mark.parametrize("streams", [None, 1, 7])
def test_memory_that_is_there_is_filled(streams: int | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors = sample_tensors() | {f"large/{n}": rng.bytes(CHUNK_BYTES + 1_000_000 * n) for n in range(4)}
    arrays = {name: np.frombuffer(t, np.uint8) if isinstance(t, bytes) else t for name, t in tensors.items()}
    store = PosixStore(tmp_path)
    _, commit = write_checkpoint(store, RUN, FOLDER, arrays, shards=3)
    reader = CheckpointReader(store, RUN, commit)
    found = buffers(reader)
    reader.fill({name: memoryview(data) for name, data in found.items()}, streams=streams)
    assert {name: bytes(data) for name, data in found.items()} == {n: a.tobytes() for n, a in arrays.items()}


def test_a_target_of_another_size_is_refused() -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, {"w": np.ones(3, np.float32)})
    with pytest.raises(InvalidInput, match="'w' takes 12 bytes, its target has 11"):
        CheckpointReader(store, RUN, commit).fill({"w": memoryview(bytearray(11))})


def test_streams_read_at_the_same_time() -> None:
    """Each read waits until another one is under way, which a reader with one stream never sees."""
    meet = threading.Barrier(2)

    class Meeting(MemoryStore):
        def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            if ".data-" in key:
                meet.wait(30)
            return super().read(key, offset, length)

    store = Meeting()
    _, commit = write_checkpoint(store, RUN, FOLDER, {"w": np.zeros(4 * CHUNK_BYTES, np.uint8)})
    CheckpointReader(store, RUN, commit).read(streams=2)


def test_the_first_damage_ends_all_streams() -> None:
    store = CountingStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, {"w": np.zeros(40 * CHUNK_BYTES // 8, np.uint64)})
    key = f"{RUN}/{FOLDER}/ckpt.data-00000-of-00001"
    store.put(key, b"\1" + store.read(key)[1:])
    store.ranges.clear()
    with pytest.raises(CorruptData, match=r"chunk 0 \(bytes 0 to 8388607\): the bytes do not match"):
        CheckpointReader(store, RUN, commit).read(streams=1)
    assert len(store.ranges) == 1


def test_a_length_that_does_not_fit_the_shape_is_damage() -> None:
    store = MemoryStore()
    manifest, _ = write_checkpoint(store, RUN, FOLDER, {"w": np.ones(3, np.float32)})
    (entry,) = manifest.tensors
    reader = CheckpointReader(
        store, RUN, dataclasses.replace(manifest, tensors=(dataclasses.replace(entry, shape=(4,)),))
    )
    for read in (reader.read, lambda: reader.tensor("w")):
        with pytest.raises(CorruptData, match=r"gives tensor 'w' 12 bytes; float32 \[4\] takes 16"):
            read()


@pytest.mark.parametrize("name", ["ckpt.data-00000-of-00002", "ckpt.data-00001-of-00002", "manifest.json"])
def test_a_flipped_byte_in_each_part_of_each_file(name: str, tmp_path: Path) -> None:
    """First and last byte of every chunk, and one in between, in place and by way of scratch memory."""
    rng = np.random.default_rng(0)
    tensors = {f"t{n}": rng.integers(0, 255, CHUNK_BYTES + n, np.uint8) for n in range(2)} | sample_tensors()
    store = PosixStore(tmp_path)
    _, commit = write_checkpoint(store, RUN, FOLDER, tensors, shards=2)
    path = tmp_path / RUN / FOLDER / name
    size = path.stat().st_size
    edges = {at for start in range(0, size, CHUNK_BYTES) for at in (start, min(start + CHUNK_BYTES, size) - 1)}
    for at in sorted(edges | {size // 3}):
        _flip(path, at)
        with pytest.raises(CorruptData, match=name):
            CheckpointReader(store, RUN, commit).read()
        _flip(path, at)
    read = CheckpointReader(store, RUN, commit).read()
    assert all(read[name].tobytes() == array.tobytes() for name, array in tensors.items())


def _flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_reading_takes_a_chunk_a_stream_beside_the_targets(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    tensors = {f"t{n}": np.zeros(CHUNK_BYTES // 2 + 7, np.uint8) for n in range(16)}
    _, commit = write_checkpoint(store, RUN, FOLDER, tensors)
    reader = CheckpointReader(store, RUN, commit)
    targets = {name: memoryview(data) for name, data in buffers(reader).items()}
    tracemalloc.start()
    reader.fill(targets, streams=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert CHUNK_BYTES < peak < 2.1 * CHUNK_BYTES


def test_an_unknown_tensor() -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, sample_tensors())
    with pytest.raises(NotFound, match="no tensor 'x'"):
        CheckpointReader(store, RUN, commit).read(["x"])


def test_damage_names_file_and_chunk_and_spares_other_chunks() -> None:
    store = MemoryStore()
    tensors = {"a": np.zeros(CHUNK_BYTES, np.uint8), "b": np.ones(CHUNK_BYTES, np.uint8)}
    _, commit = write_checkpoint(store, RUN, FOLDER, tensors)
    key = f"{RUN}/{FOLDER}/ckpt.data-00000-of-00001"
    data = bytearray(store.read(key))
    data[CHUNK_BYTES + 99] ^= 1
    store.put(key, data)
    reader = CheckpointReader(store, RUN, commit)
    np.testing.assert_array_equal(reader.tensor("a"), tensors["a"])
    with pytest.raises(CorruptData, match=r"ckpt\.data-00000-of-00001, chunk 1 \(bytes 8388608 to 16777215\)"):
        reader.tensor("b")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_flipped_bit_goes_unnoticed(data: st.DataObject) -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, sample_tensors(), shards=2)
    keys = [info.key for info in store.list(RUN) if not info.key.endswith("ckpt.index")]
    key = data.draw(st.sampled_from(keys))
    stored = bytearray(store.read(key))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    store.put(key, stored)
    with pytest.raises(CorruptData):
        CheckpointReader(store, RUN, commit).read()


@pytest.mark.parametrize("left", [0, 1, 100])
def test_a_truncated_file(left: int) -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, sample_tensors())
    key = f"{RUN}/{FOLDER}/ckpt.data-00000-of-00001"
    store.put(key, store.read(key)[:left])
    with pytest.raises(CorruptData, match=f"ends after {left} of"):
        CheckpointReader(store, RUN, commit).read()


def test_missing_files() -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, RUN, FOLDER, sample_tensors())
    store.delete(f"{RUN}/{FOLDER}/ckpt.data-00000-of-00001")
    with pytest.raises(CorruptData, match="the file is missing"):
        CheckpointReader(store, RUN, commit).read()
    store.delete(f"{RUN}/{FOLDER}/manifest.json")
    with pytest.raises(CorruptData, match="missing, though the run's log commits it"):
        CheckpointReader(store, RUN, commit)


def test_only_the_committed_manifest_is_accepted() -> None:
    store = MemoryStore()
    manifest, commit = write_checkpoint(store, RUN, FOLDER, sample_tensors())
    _, other = write_checkpoint(store, RUN, checkpoint_key(8, 2, "v"), sample_tensors(), step=8)
    with pytest.raises(CorruptData, match="is not the manifest that was committed"):
        load_manifest(store, RUN, dataclasses.replace(commit, manifest=other.manifest))
    store.put(f"{RUN}/{FOLDER}/manifest.json", store.read(f"{RUN}/{other.checkpoint}/manifest.json"))
    with pytest.raises(CorruptData, match="belongs to"):
        load_manifest(store, RUN, dataclasses.replace(commit, manifest=other.manifest))
    assert CheckpointReader(store, RUN, manifest).read(["metrics/0/empty"])["metrics/0/empty"].shape == (0, 3)


def test_a_commit_may_lie_in_another_run() -> None:
    store = MemoryStore()
    _, commit = write_checkpoint(store, "local/parent", FOLDER, sample_tensors())
    adopted = dataclasses.replace(commit, run="local/parent")
    assert CheckpointReader(store, "local/child", adopted).names() == sorted(sample_tensors())


def test_finish_again_changes_nothing() -> None:
    store = MemoryStore()
    reports = [write_shard(store, shard_key(RUN, FOLDER, shard, 2), {f"t{shard}": np.ones(3)}) for shard in range(2)]
    first = finish(store, RUN, FOLDER, reports, CheckpointMeta(step=7))
    before = {info.key: store.read(info.key) for info in store.list(RUN)}
    assert finish(store, RUN, FOLDER, reports[::-1], CheckpointMeta(step=7)) == first
    assert {info.key: store.read(info.key) for info in store.list(RUN)} == before
    assert first[1] == digest(before[f"{RUN}/{FOLDER}/manifest.json"])


def test_finish_wants_every_shard_once() -> None:
    store = MemoryStore()
    first, second = (
        write_shard(store, shard_key(RUN, FOLDER, shard, 2), {f"t{shard}": np.ones(3)}) for shard in range(2)
    )
    for reports in ([], [first], [first, first], [first, second, second]):
        with pytest.raises(InvalidInput, match="exactly one report of each shard"):
            finish(store, RUN, FOLDER, reports, CheckpointMeta(step=7))
    assert not [info for info in store.list(RUN) if info.key.endswith(".json")]


def test_finish_wants_each_tensor_once() -> None:
    store = MemoryStore()
    reports = [write_shard(store, shard_key(RUN, FOLDER, shard, 2), {"same": np.ones(3)}) for shard in range(2)]
    with pytest.raises(InvalidInput, match="two tensors are named 'same'"):
        finish(store, RUN, FOLDER, reports, CheckpointMeta(step=7))


def test_finish_looks_at_the_files() -> None:
    store = MemoryStore()
    key = shard_key(RUN, FOLDER, 0, 1)
    report = write_shard(store, key, {"t": np.ones(3)})
    store.put(key, b"short")
    with pytest.raises(CorruptData, match="has 5 bytes, its writer reported 24"):
        finish(store, RUN, FOLDER, [report], CheckpointMeta(step=7))
    store.delete(key)
    with pytest.raises(KeyMissing):
        finish(store, RUN, FOLDER, [report], CheckpointMeta(step=7))


def test_on_disk(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    tensors = sample_tensors()
    _, commit = write_checkpoint(store, RUN, FOLDER, tensors, shards=2)
    read = CheckpointReader(PosixStore(tmp_path), RUN, commit).read()
    assert all(read[name].tobytes() == array.tobytes() for name, array in tensors.items())
    assert sorted(path.name for path in (tmp_path / RUN / FOLDER).iterdir()) == [
        "ckpt.data-00000-of-00002",
        "ckpt.data-00001-of-00002",
        "ckpt.index",
        "manifest.json",
    ]
