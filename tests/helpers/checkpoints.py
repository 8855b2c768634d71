"""Small checkpoints for tests, made by the product's own writer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sojourn.checkpoint.commit import checkpoint_key, finish, shard_key
from sojourn.checkpoint.manifest import CheckpointMeta, Manifest
from sojourn.checkpoint.shard import ShardReport, ShardWriter
from sojourn.runlog.records import CommitInfo
from sojourn.store.base import Store

Tensors = Mapping[str, npt.NDArray[Any]]


def dtype_name(array: npt.NDArray[Any]) -> str:
    return array.dtype.name


def write_shard(store: Store, key: str, tensors: Tensors) -> ShardReport:
    with ShardWriter(store, key) as shard:
        for name, array in tensors.items():
            shard.add(name, dtype_name(array), array.shape, array)
    return shard.report


def write_checkpoint(
    store: Store, run: str, checkpoint: str, tensors: Tensors, *, shards: int = 1, step: int = 1
) -> tuple[Manifest, CommitInfo]:
    """Tensors are dealt to the shards in turn."""
    reports = [
        write_shard(
            store,
            shard_key(run, checkpoint, shard, shards),
            dict(itertools.islice(tensors.items(), shard, None, shards)),
        )
        for shard in range(shards)
    ]
    manifest, digest = finish(store, run, checkpoint, reports, CheckpointMeta(step=step))
    return manifest, CommitInfo(step=step, checkpoint=checkpoint, manifest=digest, bytes=manifest.total_bytes)


def sample_tensors(seed: int = 0, *, count: int = 6, size: int = 5) -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(seed)
    tensors: dict[str, npt.NDArray[Any]] = {
        f"model/layer_{number}/kernel": rng.normal(size=(size, number + 1)).astype(np.float32)
        for number in range(count)
    }
    tensors["optimizer/iterations"] = np.array(rng.integers(1000), np.int64)
    tensors["metrics/0/empty"] = np.empty((0, 3), np.float64)
    return tensors


def checkpoint_folder(step: int, term: int = 1, unique: str = "u") -> str:
    return checkpoint_key(step, term, unique)
