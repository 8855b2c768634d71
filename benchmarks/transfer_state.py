"""Runs to carry, made by the product's own writer: shards of noise, and training states some steps apart."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sojourn.checkpoint.commit import checkpoint_key, finish, shard_key
from sojourn.checkpoint.manifest import CheckpointMeta
from sojourn.checkpoint.shard import ShardReport, ShardWriter
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, Created
from sojourn.runlog.runs import create_run
from sojourn.store.base import Store

Tensors = Mapping[str, npt.NDArray[Any]]


def new_run(store: Store) -> RunLog:
    """An empty run with one attempt."""
    log = create_run(store, Created(run_id=str(uuid.uuid4()), name="bench"))
    log.begin_attempt("bench")
    return log


def noise(megabytes: int, shards: int, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """Bytes that nothing compresses, one tensor for each shard."""
    size = (megabytes << 20) // shards
    rng = np.random.default_rng(seed)
    return {f"noise/{number:02d}": np.frombuffer(rng.bytes(size), np.uint8) for number in range(shards)}


def commit(log: RunLog, tensors: Tensors, step: int, shards: int) -> CommitInfo:
    """Save and commit a checkpoint; tensors are dealt to the shards in turn."""
    folder = checkpoint_key(step, log.state.term, uuid.uuid4().hex)
    reports = [_shard(log, folder, tensors, shard, shards) for shard in range(shards)]
    manifest, digest = finish(log.store, log.prefix, folder, reports, CheckpointMeta(step=step))
    info = CommitInfo(step=step, checkpoint=folder, manifest=digest, bytes=manifest.total_bytes)
    log.commit(term=log.state.term, attempt_id=log.state.attempt_id, commit=info)
    return info


def _shard(log: RunLog, folder: str, tensors: Tensors, shard: int, shards: int) -> ShardReport:
    with ShardWriter(log.store, shard_key(log.prefix, folder, shard, shards)) as writer:
        for name, array in itertools.islice(tensors.items(), shard, None, shards):
            writer.add(name, array.dtype.name, array.shape, array)
    return writer.report


def files_of(log: RunLog, info: CommitInfo) -> Iterator[str]:
    """Keys of a checkpoint's data files."""
    return (item.key for item in log.store.list(f"{log.prefix}/{info.checkpoint}") if ".data-" in item.key)
