"""A store with runs whose times and ids are always the same."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sojourn.checkpoint import CheckpointMeta, ShardWriter, checkpoint_key, finish, shard_key
from sojourn.runlog.env import Env
from sojourn.runlog.records import CommitInfo, Created, ExportInfo, KeepBest, Parent, Recipient
from sojourn.runlog.runs import create_run
from sojourn.store.posix import PosixStore

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def env():
    """Each look at the clock is a minute later than the one before; ids count up."""
    numbers = itertools.count(1)
    minutes = itertools.count()
    return Env(
        now=lambda: NOON + timedelta(minutes=next(minutes)),
        new_id=lambda: f"00000000-0000-4000-8000-{next(numbers):012x}",
        sleep=lambda seconds: None,
    )


def run_id(number):
    return f"{number:08x}-0000-4000-8000-000000000000"


def save(log, term, attempt, step, arrays, **metrics):
    """Write a real checkpoint and commit it."""
    checkpoint = checkpoint_key(step, term, run_id(step))
    with ShardWriter(log.store, shard_key(log.prefix, checkpoint, 0, 1)) as writer:
        for name, array in arrays.items():
            writer.add(name, array.dtype.name, array.shape, array)
    manifest, digest = finish(log.store, log.prefix, checkpoint, [writer.report], CheckpointMeta(step=step))
    info = CommitInfo(
        step=step,
        checkpoint=checkpoint,
        manifest=digest,
        epoch=step // 50,
        samples=64 * step,
        bytes=manifest.total_bytes,
        metrics=metrics,
        wall_seconds=float(step),
    )
    return log.commit(term=term, attempt_id=attempt, commit=info)


def arrays(seed):
    kernel = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
    return {
        "model/dense/kernel": kernel,
        "model/dense/bias": np.zeros(3, np.float32),
        "optimizer/iteration": np.int64(seed),
    }


@pytest.fixture
def two_stores(tmp_path, env):
    """digits lost a worker, was retired from, exported, and moved from store "here" to store "there"; mnist is new."""
    here, there = PosixStore(tmp_path / "here"), PosixStore(tmp_path / "there")
    first = create_run(
        here, Created(run_id=run_id(1), name="digits", keep_best=KeepBest(metric="val_accuracy", mode="Max")), env
    )
    term = first.begin_attempt("a1", {"workers": 2, "strategy": "MultiWorkerMirroredStrategy"})
    kept = [save(first, term, "a1", 100 * n, arrays(n), loss=1 / n, val_accuracy=0.5 + n / 20) for n in (1, 2, 3)]
    first.retire(term=term, keys=[kept[0].checkpoint], reason="keepLast")
    term = first.begin_attempt("a2", {"workers": 2})
    last = save(first, term, "a2", 400, arrays(4), loss=0.2, val_accuracy=0.6)
    first.export(ExportInfo(version=1, key="export/1", manifest=last.manifest, step=400, formats=("SavedModel",)))
    child = Recipient(run_id=run_id(2), run=f"local/digits-{run_id(2)}", store=there.uri)
    first.fence(expected_term=term, expected_commit=last.manifest, recipient=child, migration_id="m1")
    fields = {name: getattr(last, name) for name in CommitInfo.__dataclass_fields__}
    for key in [info.key for info in here.list(f"{first.prefix}/{last.checkpoint}")]:
        there.put(key.replace(first.prefix, child.run), here.read(key))
    parent = Parent(
        store=here.uri,
        run=first.prefix,
        run_id=run_id(1),
        fence=first.state.fence_digest,
        term=term,
        commit=CommitInfo(**fields),
    )
    second = create_run(there, Created(run_id=run_id(2), name="digits", parent=parent, start=CommitInfo(**fields)), env)
    term = second.begin_attempt("b1", {"workers": 1})
    save(second, term, "b1", 500, arrays(5), loss=0.1, val_accuracy=0.7)
    create_run(here, Created(run_id=run_id(3), name="mnist"), env)
    return here, there
