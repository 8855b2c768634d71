"""The driver: connects to Ray, runs the worker group, prints events, turns signals into requests.

It imports no TensorFlow. Standard output carries events only; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sojourn import events
from sojourn.api import TrainingJob
from sojourn.errors import SojournError
from sojourn.store.open import open_store
from sojourn_trainer.driver.prepare import load_job
from sojourn_trainer.settings import read_settings
from sojourn_trainer.workers.assignment import Outcome, Request, RunRef

if TYPE_CHECKING:
    from sojourn_trainer.driver.actor import DriverHandle

log = logging.getLogger(__name__)

EXIT_COMPLETED, EXIT_FAILED, EXIT_SUSPENDED = 0, 1, 3
EXIT_CRASHED = 70  # not an end that was told: the supervisor starts the driver again
_POLL_SECONDS = 0.2
_CONNECT_SECONDS = 10.0
_RAY_NAMESPACE = "sojourn"


@dataclass(frozen=True)
class DriverOptions:
    """What the supervisor tells the driver."""

    run: RunRef
    job_folder: str
    spec_digest: str
    ray_address: str


def main(arguments: Sequence[str]) -> int:
    """Run one driver; returns its exit code."""
    out = _claim_stdout()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    options = _parse(arguments)
    store = open_store(options.run.store)
    try:
        job = load_job(store, options.run.prefix, options.job_folder)
        return Driver(options, job, out).run()
    except SojournError as error:
        _write(out, events.encode(_failed(error.message, error.hint, error.exit_code)))
        return error.exit_code
    except Exception:
        log.exception("the driver met an error that it does not know")
        return EXIT_CRASHED


class Driver:
    """One attempt-group's life in this process."""

    def __init__(self, options: DriverOptions, job: TrainingJob, out: TextIO) -> None:
        self._options = options
        self._job = job
        self._out = out
        self._begun = time.monotonic()
        self._signals: list[int] = []

    def run(self) -> int:
        """Train; returns the exit code."""
        self._listen_for_signals()
        import ray

        from sojourn_trainer.driver.actor import THREADS, CoordinatorActor, DriverHandle

        require_listener(self._options.ray_address)
        ray.init(address=self._options.ray_address, namespace=_RAY_NAMESPACE, logging_level=logging.WARNING)
        self._listen_for_signals()  # again, because ray.init takes SIGTERM for itself
        self._emit_launch("connect to Ray", self._begun)
        actor = (
            ray.remote(CoordinatorActor)
            .options(num_cpus=0, max_concurrency=THREADS, name=f"coordinator-{uuid.uuid4()}")
            .remote(self._job.to_manifest(), self._options.run, self._tensorboard_folder())
        )
        coordinator = DriverHandle(actor)
        error = self._train(actor, coordinator)
        log.info("Ray Train has ended")
        coordinator.close()
        log.info("history, metrics and retention are complete")
        self._drain(coordinator)
        code = self._conclude(coordinator, error)
        ray.shutdown()
        return code

    def _listen_for_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: self._signals.append(received))

    def _train(self, actor: Any, coordinator: DriverHandle) -> BaseException | None:
        """Run Ray Train in a thread while this one passes events and signals on; returns what Ray Train raised."""
        from sojourn_trainer.driver.launch import build_trainer

        options = self._options
        trainer = build_trainer(
            self._job,
            options.run,
            actor,
            job_folder=options.job_folder,
            spec_digest=options.spec_digest,
            scratch=read_settings().scratch / "ray-train",
        )
        failure: list[BaseException] = []

        def fit() -> None:
            try:
                trainer.fit()
            except Exception as error:  # noqa: BLE001 - any way in which Ray Train ends is an end to report
                failure.append(error)

        thread = threading.Thread(target=fit, name="ray-train", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            self._drain(coordinator)
            if self._signals:
                coordinator.ask(Request.STOP, signal.Signals(self._signals.pop()).name)
        return failure[0] if failure else None

    def _conclude(self, coordinator: DriverHandle, error: BaseException | None) -> int:
        result = coordinator.result()
        if result.failure is not None:
            self._emit(_failed(result.failure.message, result.failure.hint, result.failure.exit_code))
            return result.failure.exit_code
        if error is not None or result.outcome is None:
            log.error("Ray Train ended the run", exc_info=error)
            self._emit(_failed(f"Ray Train ended the run: {error}", "The log has the details.", EXIT_FAILED))
            return EXIT_FAILED
        now = time.time()
        if result.outcome is Outcome.STOPPED:
            self._emit(events.Suspended(time=now, step=result.step, reason=result.stop_reason))
            return EXIT_SUSPENDED
        self._emit(
            events.Completed(
                time=now,
                step=result.step,
                epoch=self._job.spec.training.epochs or 0,
                metrics=result.metrics,
                seconds=time.monotonic() - self._begun,
            )
        )
        return EXIT_COMPLETED

    def _tensorboard_folder(self) -> str | None:
        """TensorBoard reads folders, so its files are kept with runs in a directory."""
        scheme, _, path = self._options.run.store.partition("://")
        return str(Path(path) / self._options.run.prefix / "tensorboard") if scheme == "file" else None

    def _drain(self, coordinator: DriverHandle) -> None:
        for line in coordinator.drain():
            _write(self._out, line)

    def _emit(self, event: events.Event) -> None:
        _write(self._out, events.encode(event))

    def _emit_launch(self, phase: str, begun: float) -> None:
        self._emit(events.Launch(time=time.time(), phase=phase, seconds=time.monotonic() - begun))


def require_listener(address: str) -> None:
    """Raise SojournError if nobody listens at "host:port"; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise SojournError(
            f"Ray does not answer at {address}: {error}",
            hint="Check the address, or leave --ray-address out to have Ray started here.",
        ) from error


def _claim_stdout() -> TextIO:
    """Keep standard output for events: whatever else prints, here or in Ray's workers, goes to standard error."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return out


def _write(out: TextIO, line: str) -> None:
    out.write(line + "\n")
    out.flush()


def _failed(message: str, hint: str, exit_code: int) -> events.Failed:
    return events.Failed(time=time.time(), message=message, hint=hint, exit_code=exit_code)


def _parse(arguments: Sequence[str]) -> DriverOptions:
    parser = argparse.ArgumentParser(prog="python -m sojourn_trainer.driver")
    for name in ("store", "prefix", "name", "run-id", "job-folder", "spec-digest", "ray-address"):
        parser.add_argument(f"--{name}", required=True)
    found = parser.parse_args(arguments)
    return DriverOptions(
        run=RunRef(found.store, found.prefix, found.name, found.run_id),
        job_folder=found.job_folder,
        spec_digest=found.spec_digest,
        ray_address=found.ray_address,
    )
