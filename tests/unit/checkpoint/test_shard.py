"""Writing a data file: bytes, digests and checksums, without ever holding the whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.checkpoints import sample_tensors, write_shard
from sojourn.checkpoint import crc
from sojourn.checkpoint.digest import CHUNK_BYTES, ChunkDigests, digest
from sojourn.checkpoint.shard import ShardReport, ShardWriter
from sojourn.errors import InvalidInput, StoreError
from sojourn.store.base import Buffer, KeyMissing
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore

KEY = "run/data/1-1-u/ckpt.data-00000-of-00001"


def test_a_report_tells_what_was_written() -> None:
    store = MemoryStore()
    tensors = sample_tensors()
    report = write_shard(store, KEY, tensors)
    stored = store.read(KEY)
    assert stored == b"".join(array.tobytes() for array in tensors.values())
    assert (report.shard, report.shards, report.file.size) == (0, 1, len(stored))
    assert report.file.digest == digest(stored)
    assert report.file.chunks == (digest(stored),)
    for tensor, (name, array) in zip(report.tensors, tensors.items(), strict=True):
        part = stored[tensor.offset : tensor.offset + tensor.length]
        assert (tensor.name, tensor.shape, part) == (name, array.shape, array.tobytes())
        assert tensor.crc32c == crc.extend(0, part)


def test_a_report_crosses_a_process_boundary() -> None:
    report = write_shard(MemoryStore(), KEY, sample_tensors())
    assert ShardReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_digests_of_several_chunks(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    rng = np.random.default_rng(1)
    tensors = {
        "small": rng.normal(size=7),
        "big": rng.normal(size=(3, 800_000)),
        "between": rng.normal(size=3),
        "end": rng.normal(size=(200_000,)),
    }
    report = write_shard(store, KEY, tensors)
    stored = store.read(KEY)
    assert len(stored) > 2 * CHUNK_BYTES
    assert report.file.digest == digest(stored)
    parts = [stored[start : start + CHUNK_BYTES] for start in range(0, len(stored), CHUNK_BYTES)]
    assert report.file.chunks == tuple(digest(part) for part in parts)


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 30))
def test_chunk_digests_do_not_depend_on_how_bytes_arrive(pieces: list[bytes], chunk_bytes: int) -> None:
    digests = ChunkDigests(chunk_bytes)
    for piece in pieces:
        digests.update(memoryview(piece))
    data = b"".join(pieces)
    chunks = [data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes)]
    assert digests.finish() == (digest(data), tuple(digest(chunk) for chunk in chunks))
    assert digests.size == len(data)


def test_an_empty_shard_is_a_file() -> None:
    store = MemoryStore()
    report = write_shard(store, KEY, {})
    assert store.read(KEY) == b""
    assert report.file.digest == f"blake3:{blake3().hexdigest()}"
    assert report.file.chunks == ()


def test_buffers_of_every_sort_hold_the_same_bytes() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    store = MemoryStore()
    with ShardWriter(store, KEY) as shard:
        shard.add("array", "float32", (3, 4), array)
        shard.add("view", "float32", (3, 4), memoryview(array))
        shard.add("bytes", "float32", [3, 4], array.tobytes())
        shard.add("bytearray", "float32", (3, 4), bytearray(array.tobytes()))
        shard.add("transposed", "float32", (4, 3), array.T)
        shard.add("strided", "float32", (3, 2), array[:, ::2])
        shard.add("scalar", "float32", (), np.float32(1.5))
        shard.add("empty view", "float32", (0,), memoryview(b""))
    checksums = {tensor.name: tensor.crc32c for tensor in shard.report.tensors}
    assert len({checksums[name] for name in ("array", "view", "bytes", "bytearray")}) == 1
    stored = store.read(KEY)
    assert stored[192:240] == array.T.tobytes()
    assert stored[240:264] == array[:, ::2].tobytes()


def test_bfloat16_as_a_view_of_uint16() -> None:
    values = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    store = MemoryStore()
    with ShardWriter(store, KEY) as shard:
        shard.add("w", "bfloat16", (2,), values.view(np.uint16))
    assert shard.report.tensors[0].dtype == "bfloat16"
    assert store.read(KEY) == values.tobytes()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 200_000), max_size=12))
def test_any_mix_of_sizes_is_laid_out_without_gaps(sizes: list[int]) -> None:
    store = MemoryStore()
    rng = np.random.default_rng(len(sizes))
    tensors = {f"t{number}": rng.integers(0, 256, size, np.uint8) for number, size in enumerate(sizes)}
    report = write_shard(store, KEY, tensors)
    assert store.read(KEY) == b"".join(array.tobytes() for array in tensors.values())
    assert report.file.digest == digest(store.read(KEY))
    assert [tensor.offset for tensor in report.tensors] == [sum(sizes[:number]) for number in range(len(sizes))]


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "said"),
    [
        ("w", "float32", (3,), "needs 12 bytes, got 8"),
        ("w", "string", (2,), "cannot be stored"),
        ("", "float32", (2,), "is empty or already"),
        ("first", "float32", (2,), "is empty or already"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, dtype: str, shape: tuple[int, ...], said: str) -> None:
    store = MemoryStore()

    def write() -> None:
        with ShardWriter(store, KEY) as shard:
            shard.add("first", "float32", (2,), bytes(8))
            shard.add(name, dtype, shape, bytes(8))

    with pytest.raises(InvalidInput, match=said):
        write()
    with pytest.raises(KeyMissing):
        store.stat(KEY)


def test_a_shard_that_is_not_open_or_not_done_says_so() -> None:
    shard = ShardWriter(MemoryStore(), KEY)
    with pytest.raises(InvalidInput, match="not open"):
        shard.add("w", "uint8", (100_000,), bytes(100_000))
    with pytest.raises(InvalidInput, match="before the file was complete"):
        _ = shard.report
    with pytest.raises(InvalidInput, match="not the name of a checkpoint's data file"):
        ShardWriter(MemoryStore(), "run/data/1-1-u/weights.bin")


class _Counting:
    """A writer that keeps sizes only."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.sizes: list[int] = []
        self._fail_after = fail_after

    def write(self, data: Buffer) -> None:
        self.sizes.append(memoryview(data).nbytes)
        if self._fail_after is not None and sum(self.sizes) > self._fail_after:
            raise StoreError("the disk is full")


class _CountingStore(MemoryStore):
    def __init__(self, fail_after: int | None = None) -> None:
        super().__init__()
        self.writer = _Counting(fail_after)
        self.left_with: BaseException | None = None

    @contextmanager
    def open_writer(self, key: str) -> Iterator[_Counting]:
        try:
            yield self.writer
        except BaseException as error:
            self.left_with = error
            raise


def test_a_large_tensor_goes_out_in_pieces() -> None:
    store = _CountingStore()
    write_shard(store, KEY, {"w": np.zeros(5_000_000, np.float32), "b": np.zeros(3, np.float32)})
    assert sum(store.writer.sizes) == 20_000_012
    assert max(store.writer.sizes) <= 1024 * 1024


def test_many_small_tensors_go_out_together() -> None:
    store = _CountingStore()
    write_shard(store, KEY, {f"t{number}": np.zeros(10, np.float32) for number in range(3000)})
    assert store.writer.sizes == [120_000]


@pytest.mark.parametrize("size", [3_000_000, 10])
def test_a_failing_store_is_told_and_the_error_passes(size: int) -> None:
    store = _CountingStore(fail_after=0)
    with pytest.raises(StoreError, match="disk is full"):
        write_shard(store, KEY, {"w": np.zeros(size, np.uint8)})
    assert isinstance(store.left_with, StoreError)
