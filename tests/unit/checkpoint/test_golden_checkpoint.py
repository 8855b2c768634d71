"""Checkpoints of every format version that was released stay readable, and today's version writes the same bytes.

The folders under tests/golden/checkpoint are never changed; a new format gets a new folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from helpers.checkpoints import write_shard
from sojourn.checkpoint.bundle_reader import BundleReader
from sojourn.checkpoint.commit import finish, shard_key
from sojourn.checkpoint.manifest import CheckpointMeta, Position
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.verify import verify_checkpoint
from sojourn.runlog.records import CommitInfo
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore

GOLDEN = Path(__file__).parents[2] / "golden" / "checkpoint" / "v1"
CHECKPOINT = "data/1200-2-5f0c9a52-6f8e-4d0b-8a39-0a8f5d4c7b11"
MANIFEST = "blake3:c0b12e418902ab9ea90e223e7d6fc8c3923d9346f5c8ccfa136212bcb18c09fa"
META = CheckpointMeta(
    step=1200,
    samples=76_800,
    position=Position(epoch=3, batch=17),
    seed=7,
    strategy="MultiWorkerMirroredStrategy",
    replicas=2,
    global_batch_size=64,
    spec_digest="blake3:" + "0" * 64,
    versions={"keras": "3.15.1", "python": "3.11.7", "tensorflow": "2.21.0"},
    cpu_flags=("avx2", "fma"),
    threads={"interOp": 1, "intraOp": 1},
    callbacks={"EarlyStopping": {"best": float("inf"), "wait": 0}},
    extra={"note": "ü"},
)


def expected() -> dict[str, npt.NDArray[Any]]:
    return {
        "model/dense/kernel": np.arange(12, dtype=np.float32).reshape(3, 4) / 8,
        "model/dense/bias": np.array([1, -1, 0.5, np.inf], np.float32),
        "model/half": np.array([[1.5, -2]], np.float16),
        "model/brain": np.array([1.5, -2, 3], ml_dtypes.bfloat16),
        "model/eight": np.array([1.5, -2], ml_dtypes.float8_e4m3fn),
        "model/ünicode": np.array([True, False]),
        "model/empty": np.empty((0, 5), np.float64),
        "optimizer/iterations": np.array(1200, np.int64),
        "optimizer/complex": np.array([1 + 2j], np.complex64),
        "random/seed_generator/seed_generator_state": np.array([7, 4_294_967_295], np.uint32),
        "replica_1/model/norm/moving_mean": np.array([0.25, -0.125]),
    }


def test_it_holds_what_was_written() -> None:
    store = PosixStore(GOLDEN)
    commit = CommitInfo(step=1200, checkpoint=CHECKPOINT, manifest=MANIFEST)
    reader = CheckpointReader(store, "run", commit)
    assert reader.manifest.meta == META
    assert reader.names() == sorted(expected())
    for name, array in reader.read().items():
        assert array.dtype == expected()[name].dtype
        np.testing.assert_array_equal(array, expected()[name])
    assert verify_checkpoint(store, "run", commit).ok


def test_its_index_alone_leads_to_the_same() -> None:
    reader = BundleReader(PosixStore(GOLDEN), f"run/{CHECKPOINT}/ckpt")
    assert sorted(reader.names()) == sorted(expected())
    for name, array in expected().items():
        np.testing.assert_array_equal(reader.tensor(name), array)


def test_todays_writer_makes_the_same_bytes() -> None:
    store = MemoryStore()
    write_golden(store)
    for info in store.list():
        if not (GOLDEN / info.key).is_file():
            pytest.fail(f"{info.key} is not in the golden checkpoint")
        assert store.read(info.key) == (GOLDEN / info.key).read_bytes(), info.key


def write_golden(store: MemoryStore | PosixStore) -> str:
    tensors = list(expected().items())
    reports = [
        write_shard(store, shard_key("run", CHECKPOINT, shard, 2), dict(tensors[shard::2])) for shard in range(2)
    ]
    return finish(store, "run", CHECKPOINT, reports, META)[1]
