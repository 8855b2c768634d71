"""Runs as training leaves them, made without training: a job with its code, golden inputs, and one checkpoint."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers.checkpoints import Tensors, checkpoint_folder, write_shard
from sojourn.checkpoint.commit import finish, shard_key
from sojourn.checkpoint.manifest import CheckpointMeta
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, Created
from sojourn.runlog.runs import LOCAL, create_run, run_prefix
from sojourn.store.base import Store
from sojourn.task.archive import pack


@dataclass(frozen=True)
class JobFiles:
    """What a run keeps of its job. `code` is a folder to pack, or None where the task is installed."""

    entrypoint: str
    args: Mapping[str, Any]
    code: Path | None = None
    golden: Tensors | None = None


def make_run(
    store: Store,
    name: str,
    job: JobFiles,
    tensors: Tensors,
    *,
    step: int = 100,
    replicas: int = 1,
    namespace: str = LOCAL,
) -> RunLog:
    """A run with one attempt and one commit."""
    run_id, digest = str(uuid.uuid4()), "0" * 64
    prefix = run_prefix(name, run_id, namespace)
    task: dict[str, Any] = {"entrypoint": job.entrypoint, "args": dict(job.args)}
    if job.code is not None:
        archive = pack(job.code)
        task["code"] = {"archive": {"digest": archive.digest}}
        store.put(f"{prefix}/job/{digest}/code.tar", archive.data)
    store.put(f"{prefix}/job/{digest}/job.json", json.dumps({"spec": {"task": task}}).encode())
    if job.golden is not None:
        buffer = io.BytesIO()
        np.savez(buffer, **job.golden)
        store.put(f"{prefix}/job/{digest}/golden.npz", buffer.getvalue())
    log = create_run(store, Created(run_id=run_id, name=name, namespace=namespace, job_digest=f"blake3:{digest}"))
    term = log.begin_attempt("attempt-1")
    folder = checkpoint_folder(step, term)
    shard = write_shard(store, shard_key(prefix, folder, 0, 1), tensors)
    manifest, named = finish(store, prefix, folder, [shard], CheckpointMeta(step=step, replicas=replicas))
    commit = CommitInfo(step=step, checkpoint=folder, manifest=named, bytes=manifest.total_bytes)
    log.commit(term=term, attempt_id="attempt-1", commit=commit)
    return log
