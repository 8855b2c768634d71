"""Runs for tests: a log with checkpoints, exports, a job; and stores that die at a chosen write."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

from helpers.checkpoints import sample_tensors, write_checkpoint
from sojourn.checkpoint.commit import checkpoint_key
from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.files import record_file
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Commit, Created, Export, ExportInfo, KeepBest
from sojourn.runlog.runs import create_run
from sojourn.store.base import Buffer, ObjectInfo, Store, Writer

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    """A time that tests move, and ids that count."""

    time: datetime = START
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def env(self) -> Env:
        return Env(
            now=lambda: self.time,
            new_id=lambda: str(UUID(int=next(self.ids))),
            sleep=lambda seconds: None,
            tries=3,
        )

    def forward(self, **time: float) -> None:
        self.time += timedelta(**time)


def new_run(store: Store, env: Env, name: str = "digits") -> RunLog:
    created = Created(run_id=env.new_id(), name=name, keep_best=KeepBest(metric="acc", mode="Max"))
    log = create_run(store, created, env)
    store.put(f"{log.prefix}/job/aa/job.json", b'{"kind": "TrainingJob"}')
    store.put(f"{log.prefix}/job/aa/code.tar", bytes(700))
    return log


def commit_step(log: RunLog, step: int, *, accuracy: float = 0.5, shards: int = 2) -> Commit:
    """A checkpoint of random weights, committed by the newest attempt."""
    state = log.state
    folder = checkpoint_key(step, state.term, f"u{state.commits_made}-{log.prefix[-4:]}")
    _, info = write_checkpoint(log.store, log.prefix, folder, sample_tensors(step), shards=shards, step=step)
    info = replace(info, metrics={"acc": accuracy})
    return log.commit(term=state.term, attempt_id=state.attempt_id, commit=info)


def add_export(log: RunLog, version: int) -> Export:
    folder = f"{log.prefix}/export/{version}"
    log.store.put(f"{folder}/saved_model/saved_model.pb", b"model" * version)
    log.store.put(f"{folder}/golden.npz", b"golden")
    names = ("golden.npz", "saved_model/saved_model.pb")
    body = json.dumps({"files": [record_file(log.store, folder, name).to_json() for name in names]}).encode()
    log.store.put(f"{folder}/manifest.json", body)
    return log.export(ExportInfo(version=version, key=f"export/{version}", manifest=digest(body), step=1))


def trained_run(store: Store, env: Env, *, steps: tuple[int, ...] = (10, 20, 30)) -> RunLog:
    """A run with one attempt, these checkpoints (the first is the best) and one export."""
    log = new_run(store, env)
    log.begin_attempt("first")
    for number, step in enumerate(steps):
        commit_step(log, step, accuracy=0.9 - number / 10)
    if steps:
        add_export(log, 1)
    return log


def assert_holds(log: RunLog, step: int) -> None:
    """The newest checkpoint is that of `step`, whole and right."""
    latest = log.state.latest
    assert latest is not None
    assert latest.step == step
    read = CheckpointReader(log.store, log.prefix, latest).read()
    for name, array in sample_tensors(step).items():
        np.testing.assert_array_equal(read[name], array)


class Killed(BaseException):
    """Stands for kill -9: no handler of the product catches it."""


@dataclass
class Countdown:
    """Dies at the `left`-th write from now; `late` dies when the write has taken effect."""

    left: int
    late: bool = False
    writes: int = 0

    @contextmanager
    def write(self) -> Iterator[None]:
        self.writes += 1
        dying = self.writes == self.left
        if dying and not self.late:
            raise Killed
        yield
        if dying:
            raise Killed


class DyingStore:
    """A store whose process is killed at a write; several may share one countdown."""

    def __init__(self, inner: Store, countdown: Countdown) -> None:
        self._inner = inner
        self._countdown = countdown

    @property
    def uri(self) -> str:
        return self._inner.uri

    @property
    def concurrency(self) -> int:
        return self._inner.concurrency

    def create(self, key: str, data: Buffer) -> None:
        with self._countdown.write():
            self._inner.create(key, data)

    def put(self, key: str, data: Buffer) -> None:
        with self._countdown.write():
            self._inner.put(key, data)

    @contextmanager
    def open_writer(self, key: str) -> Iterator[Writer]:
        with self._countdown.write(), self._inner.open_writer(key) as writer:
            yield writer

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        return self._inner.read(key, offset, length)

    def stat(self, key: str) -> ObjectInfo:
        return self._inner.stat(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        return self._inner.list(prefix, start_after=start_after)

    def list_folders(self, prefix: str = "") -> Iterator[str]:
        return self._inner.list_folders(prefix)

    def delete(self, key: str) -> None:
        with self._countdown.write():
            self._inner.delete(key)

    def free_bytes(self) -> int | None:
        return self._inner.free_bytes()
