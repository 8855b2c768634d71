"""Trains for real in worker processes, without Ray: the coordinator is in the test's process, workers call it by RPC.

Workers are forked from a server that has imported TensorFlow once, so a group starts in about a second.
"""

from __future__ import annotations

import copy
import multiprocessing
import multiprocessing.connection
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.managers import BaseManager
from typing import Any

import numpy as np

from sojourn import events
from sojourn.api import TrainingJob
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.runlog.log import RunLog
from sojourn.store.base import Store
from sojourn.store.open import open_store
from sojourn_trainer.driver.coordinator import Coordinator, Result
from sojourn_trainer.driver.observers import EventQueue, HistoryFiles, Observer
from sojourn_trainer.driver.prepare import RunRequest, prepare_run
from sojourn_trainer.driver.timing import Clocks
from sojourn_trainer.node.ports import free_ports
from sojourn_trainer.strategies import Place
from sojourn_trainer.workers.assignment import Assignment

GROUP_TIMEOUT_SECONDS = 120
CRASHED = 9


class _Manager(BaseManager):
    """Serves one coordinator to worker processes."""


def job(name: str = "digits", **changes: Any) -> TrainingJob:
    """A small job on digits; `changes` are dotted paths within spec, dots written as double underscores."""
    manifest: dict[str, Any] = copy.deepcopy(_BASE)
    manifest["metadata"]["name"] = name
    for path, value in changes.items():
        at = manifest["spec"]
        *parents, last = path.split("__")
        for parent in parents:
            at = at.setdefault(parent, {})
        if value is None:
            at.pop(last, None)
        else:
            at[last] = value
    return TrainingJob.model_validate(manifest)


_BASE: dict[str, Any] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "digits"},
    "spec": {
        "strategy": "MultiWorkerMirroredStrategy",
        "workers": {"replicas": 2},
        "task": {"entrypoint": "models_for_tests:cnn"},
        "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
        "training": {"globalBatchSize": 128, "steps": 24, "seed": 7},
        "checkpoint": {"every": {"steps": 5}},
        "backoffLimit": 6,
    },
}


@dataclass
class Attempt:
    """How one start of a worker group ended."""

    exit_codes: list[int | None]
    result: Result
    events: list[events.Event] = field(default_factory=list)

    def of(self, kind: type[events.Event]) -> list[Any]:
        """Events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


class LocalRun:
    """A run in a store, and the worker groups that a test starts on it."""

    def __init__(self, store: Store, manifest: TrainingJob, **request: Any) -> None:
        self.store = store
        self.job = manifest
        self.prepared = prepare_run(store, RunRequest(manifest, **request))
        self.log = RunLog.open(store, self.prepared.run.prefix)

    def coordinator(self, *more: Observer) -> tuple[Coordinator, EventQueue]:
        """A fresh coordinator, as a new driver process would have it, and whoever else is to hear of its events."""
        log = RunLog.open(self.store, self.prepared.run.prefix)
        queue = EventQueue()
        observers = [queue, HistoryFiles(self.store, log.prefix), *more]
        return Coordinator(self.job, log, observers, Clocks()), queue

    def attempt(
        self,
        environment: Mapping[str, str] | None = None,
        coordinator: tuple[Coordinator, EventQueue] | None = None,
        kill: Kill | None = None,
    ) -> Attempt:
        """Start a group, wait for its end; a worker that dies takes the others with it, as under Ray Train."""
        control, queue = coordinator or self.coordinator(*([kill] if kill else []))
        workers = self.job.spec.workers.replicas
        attempt_id = str(uuid.uuid4())
        start = control.begin_attempt(attempt_id, workers, {})
        addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(workers))
        assignments = [
            Assignment(
                run=self.prepared.run,
                job=self.job.to_manifest(),
                job_folder=self.prepared.job_folder,
                spec_digest=self.prepared.spec_digest,
                attempt_id=attempt_id,
                term=start.term,
                place=Place(addresses, rank, self.job.spec.workers.devices),
                restore=start.restore,
            )
            for rank in range(workers)
        ]
        # Worker processes leave their temporary files behind, because they end without Python's exit handlers.
        with _served(control) as address, tempfile.TemporaryDirectory(prefix="sj-") as scratch:
            codes = _run_group(assignments, address, {**(environment or {}), "TMPDIR": scratch}, kill)
        control.close()
        decoded = [event for line in queue.drain() if (event := events.decode(line)) is not None]
        self.log.refresh()
        return Attempt(codes, control.result(), decoded)

    def state(self) -> dict[str, np.ndarray]:
        """Every tensor of the newest checkpoint."""
        commit = self.log.refresh().latest
        assert commit is not None
        return CheckpointReader(self.store, commit.run or self.log.prefix, commit).read()


class Kill:
    """SIGKILL to one worker, some seconds after a commit: whatever it does at that moment.

    Args:
        commits: how many of the attempt come before.
        seconds: after the last of them.
        rank: of the worker.
    """

    def __init__(self, commits: int, seconds: float, rank: int) -> None:
        self._commits = commits
        self._seconds = seconds
        self._rank = rank
        self.processes: Sequence[Any] = ()

    def observe(self, event: events.Event) -> None:
        if isinstance(event, events.Committed):
            self._commits -= 1
            if self._commits == 0:
                threading.Timer(self._seconds, self.processes[self._rank].kill).start()

    def close(self) -> None:
        return


def assert_same_state(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> None:
    """Bit for bit."""
    assert left.keys() == right.keys()
    different = [name for name in left if left[name].tobytes() != right[name].tobytes()]
    assert not different, f"{len(different)} of {len(left)} tensors differ: {different[:5]}"


@contextmanager
def _served(coordinator: Coordinator) -> Iterator[str]:
    _Manager.register("coordinator", callable=lambda: coordinator)
    folder = tempfile.mkdtemp(prefix="sj-")
    server = _Manager(address=f"{folder}/coordinator", authkey=b"tests").get_server()
    # serve_forever would end the process when it stops; here only its accepting thread is wanted.
    server.stop_event = threading.Event()
    thread = threading.Thread(target=_accept, args=(server,), daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        server.stop_event.set()
        server.listener.close()
        shutil.rmtree(folder, ignore_errors=True)


def _accept(server: Any) -> None:
    try:
        server.accepter()
    except OSError:
        return


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preload_tensorflow"])
    return context


def _run_group(
    assignments: Sequence[Assignment], address: str, environment: Mapping[str, str], kill: Kill | None
) -> list[int | None]:
    context = _context()
    processes = [
        context.Process(target=worker_process, args=(assignment, address, dict(environment)))
        for assignment in assignments
    ]
    for process in processes:
        process.start()
    if kill is not None:
        kill.processes = processes
    sentinels = {process.sentinel: process for process in processes}
    waiting = set(sentinels)
    failed = False
    while waiting and not failed:
        ready = multiprocessing.connection.wait(list(waiting), GROUP_TIMEOUT_SECONDS)
        assert ready, "the worker group hangs"
        for sentinel in ready:
            waiting.discard(sentinel)
            sentinels[sentinel].join()
            failed = failed or sentinels[sentinel].exitcode != 0
    for process in processes:
        if failed and process.is_alive():
            process.kill()
        process.join()
    return [process.exitcode for process in processes]


def worker_process(assignment: Assignment, address: str, environment: dict[str, str]) -> None:
    """Body of a worker process."""
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", **environment})
    tempfile.tempdir = None  # so that TMPDIR is looked at again
    from sojourn_trainer.workers.run import run_worker

    _Manager.register("coordinator")
    manager = _Manager(address=address, authkey=b"tests")
    manager.connect()
    run_worker(assignment, manager.coordinator())  # type: ignore[attr-defined]


def new_store(path: Any) -> Store:
    """A store in a directory."""
    return open_store(str(path))
