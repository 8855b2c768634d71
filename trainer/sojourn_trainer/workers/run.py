"""One worker process from start to end of an attempt, without Ray: it is told everything and talks to a port."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sojourn.api import TrainingJob
from sojourn.errors import InvalidInput, NotFound, SojournError
from sojourn.store.base import Store
from sojourn.store.open import open_store
from sojourn.task import archive
from sojourn.task.entrypoint import call
from sojourn_trainer.settings import read_settings
from sojourn_trainer.strategies import STRATEGIES
from sojourn_trainer.workers.assignment import Assignment, CoordinatorPort, Outcome, WorkerFailure


def run_worker(
    assignment: Assignment, coordinator: CoordinatorPort, clock: Callable[[], float] = time.monotonic
) -> Outcome:
    """Build the task's model and train it until the run is complete or told to stop.

    Raises:
        Exception: whatever ended the training; the coordinator has been told before.
    """
    try:
        outcome = _run(assignment, coordinator, clock)
    except Exception as error:
        coordinator.failed(describe(assignment.place.rank, error))
        raise
    coordinator.ended(assignment.place.rank)
    return outcome


def _run(assignment: Assignment, coordinator: CoordinatorPort, clock: Callable[[], float]) -> Outcome:
    rank = assignment.place.rank
    timer = _PhaseTimer(coordinator if rank == 0 else None, clock)
    job = TrainingJob.model_validate(assignment.job)
    strategy_setup = STRATEGIES[job.spec.strategy]
    os.environ.update(strategy_setup.environment(assignment.place))
    with timer.phase("import TensorFlow"):
        from sojourn_trainer.loop import fit as fitting
        from sojourn_trainer.loop.build import set_up_runtime
        from sojourn_trainer.loop.session import Session, current
    with timer.phase("form group"):
        set_up_runtime(job.spec.training)
        strategy = strategy_setup.create(assignment.place)
    store = open_store(assignment.run.store)
    session = Session(job, assignment, store, strategy, coordinator, clock)
    token = current.set(session)
    try:
        with timer.phase("build task"), strategy.scope():
            task = _call_task(job, assignment, store)
        if task is not None:
            fitting.train(session, task)
    finally:
        current.reset(token)
    if session.outcome is None:
        raise InvalidInput(
            f"the task {job.spec.task.entrypoint} trained nothing",
            hint="Return a model or a sojourn_trainer.Task, or call sojourn_trainer.fit(model, data).",
        )
    return session.outcome


def _call_task(job: TrainingJob, assignment: Assignment, store: Store) -> Any:
    """The task's Task, or None where the function has trained by itself."""
    import keras

    from sojourn_trainer.loop.session import current
    from sojourn_trainer.task import Task

    spec = job.spec.task
    try:
        result = call(spec.entrypoint, spec.args, code_folder(store, assignment, job))
    except NotFound as error:
        raise InvalidInput(error.message, hint=error.hint) from error
    except (SojournError, OSError):
        raise
    except Exception as error:
        session = current.get()
        if session is None or session.training:
            raise
        raise InvalidInput(
            f"the task {spec.entrypoint} raised {type(error).__name__}: {error}",
            hint="The log of the run has the traceback.",
        ) from error
    if isinstance(result, Task):
        return result
    if isinstance(result, keras.Model):
        return Task(result)
    if isinstance(result, tuple) and result and isinstance(result[0], keras.Model):
        model, *data = result
        return Task(model, data[0] if len(data) == 1 else tuple(data) or None)
    return None


def code_folder(store: Store, assignment: Assignment, job: TrainingJob) -> Path | None:
    """The unpacked archive of the job's code, or None where the job's code is installed."""
    code = job.spec.task.code
    if code is None or code.archive is None:
        return None
    data = store.read(f"{assignment.run.prefix}/{assignment.job_folder}/code.tar")
    return archive.unpack(data, code.archive.digest, read_settings().cache / "code")


def describe(rank: int, error: Exception) -> WorkerFailure:
    """What the driver needs to know of an error: whether trying again can help, and what to tell."""
    permanent = isinstance(error, SojournError) and error.exit_code in (2, 4, 5)
    hint = error.hint if isinstance(error, SojournError) else ""
    text = error.message if isinstance(error, SojournError) else f"{type(error).__name__}: {_gist(error)}"
    code = error.exit_code if isinstance(error, SojournError) else 1
    return WorkerFailure(rank, text, hint, permanent, code)


def _gist(error: Exception) -> str:
    """The telling line of an error: TensorFlow puts a traceback of its graph before it, which the log has in full."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_NOISE)]
    return (telling or lines or ["no message"])[0]


_NOISE = ("Graph execution error", "Detected at node", 'File "', "<stack traces")


class _PhaseTimer:
    def __init__(self, coordinator: CoordinatorPort | None, clock: Callable[[], float]) -> None:
        self._coordinator = coordinator
        self._clock = clock

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = self._clock()
        yield
        if self._coordinator is not None:
            self._coordinator.launched(name, self._clock() - begun)
