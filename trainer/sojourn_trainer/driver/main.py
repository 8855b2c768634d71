"""The driver: connects to Ray, runs the worker group, prints events, turns signals into requests.

It imports no TensorFlow. Standard output carries events only; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import json
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
from sojourn_trainer.driver.commands import Command, read_commands
from sojourn_trainer.driver.prepare import PreparedRun, load_job
from sojourn_trainer.settings import read_settings
from sojourn_trainer.workers.assignment import Outcome, Request, RunRef

if TYPE_CHECKING:
    from sojourn_trainer.driver.actor import DriverHandle
    from sojourn_trainer.driver.coordinator import Result

log = logging.getLogger(__name__)

EXIT_COMPLETED, EXIT_FAILED, EXIT_SUSPENDED = 0, 1, 3
EXIT_CRASHED = 70  # not an end that was told: the supervisor starts the driver again
_POLL_SECONDS = 0.2
_LOOK_SECONDS = 2.0
_CONNECT_SECONDS = 10.0
_RAY_NAMESPACE = "sojourn"


@dataclass(frozen=True)
class DriverOptions:
    """What the supervisor tells the driver.

    Attributes:
        prepared: the run, and where its job lies; None to stand by for one, of which a command tells.
        job: path of the job's manifest, for as long as there is no run that has it.
        ray_address: of Ray's head.
        machines: how many machines must have joined Ray before training begins, one per worker; 0: do not look.
        failures: without a commit between them, before this driver.
    """

    prepared: PreparedRun | None
    job: Path | None
    ray_address: str
    machines: int
    failures: int


def main(arguments: Sequence[str]) -> int:
    """Run one driver; returns its exit code."""
    out = _claim_stdout()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    options = _parse(arguments)
    try:
        return Driver(options, _job_of(options), out).run()
    except SojournError as error:
        _write(out, events.encode(_failed(error.message, error.hint, error.exit_code, type(error).__name__)))
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
        self._commands = read_commands(sys.stdin.fileno())
        self._stop_reason = ""
        self._opened = False
        self._asked_early: list[Command] = []
        self._machines_seen = -1
        self._left_ray_train = False
        self._completed = False

    def run(self) -> int:
        """Train; returns the exit code."""
        self._listen_for_signals()
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from sojourn_trainer.driver.actor import THREADS, CoordinatorActor, DriverHandle

        require_listener(self._options.ray_address)
        # Under this name the dashboard lists it, and links its log.
        prepared = self._options.prepared
        named = ray.job_config.JobConfig(metadata={"job_name": prepared.run.prefix if prepared else self._job.name})
        ray.init(
            address=self._options.ray_address,
            namespace=_RAY_NAMESPACE,
            logging_level=logging.WARNING,
            job_config=named,
        )
        self._listen_for_signals()  # again, because ray.init takes SIGTERM for itself
        self._emit_launch("connect to Ray", self._begun)
        # It ends with the driver, so it must not lie on a machine that may be lost without the driver.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = (
            ray.remote(CoordinatorActor)
            .options(
                num_cpus=0,
                max_concurrency=THREADS,
                name=f"coordinator-{uuid.uuid4()}",
                scheduling_strategy=here,
            )
            .remote(self._options.failures)
        )
        coordinator = DriverHandle(actor)
        if prepared is not None:
            self._open(coordinator, prepared)
        self._wait_for_machines(coordinator)
        error = None if self._stop_reason else self._train(actor, coordinator)
        log.info("Ray Train has ended")
        if not self._opened:
            return self._leave_standby(error)
        if self._completed:
            ray.shutdown()
            return EXIT_COMPLETED
        coordinator.close()
        log.info("history, metrics and retention are complete")
        self._drain(coordinator)
        code = self._conclude(coordinator, error)
        if self._left_ray_train:
            os._exit(code)  # its thread is still at work, and would end this process in a way of its own
        ray.shutdown()
        return code

    def _open(self, coordinator: DriverHandle, prepared: PreparedRun) -> None:
        """Have this run trained, and what was asked for before there was one."""
        from sojourn_trainer.driver.launch_plan import LaunchPlan

        coordinator.open(LaunchPlan(prepared, self._job.to_manifest(), tensorboard_folder(prepared.run)))
        self._opened = True
        for command in self._asked_early:
            self._act_on(coordinator, command)

    def _leave_standby(self, error: BaseException | None) -> int:
        """The end of a driver that was given no run."""
        if not self._stop_reason:
            log.error("Ray Train ended in standby", exc_info=error)
            os._exit(EXIT_CRASHED)
        self._emit(events.Suspended(time=time.time(), step=0, reason=self._stop_reason))
        os._exit(EXIT_SUSPENDED)  # Ray Train's thread waits for a run that will not come

    def _wait_for_machines(self, coordinator: DriverHandle) -> None:
        """Wait until all machines have joined Ray, or somebody asks to stop."""
        begun = time.monotonic()
        while self._machines_joined() < self._options.machines and not self._stop_reason:
            time.sleep(_POLL_SECONDS)
            self._pass_on(coordinator)
        if self._options.machines:
            self._emit_launch("wait for machines", begun)

    def _machines_joined(self) -> int:
        import ray

        joined = sum(node["Alive"] for node in ray.nodes())
        wanted = self._options.machines
        ready = min(joined, wanted)  # one that was lost counts beside its replacement for a while
        if wanted and ready != self._machines_seen:
            self._machines_seen = ready
            self._emit(events.Workers(time=time.time(), ready=ready, wanted=wanted))
        return joined

    def _listen_for_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: self._signals.append(received))

    def _train(self, actor: Any, coordinator: DriverHandle) -> BaseException | None:
        """Run Ray Train in a thread while this one passes events and signals on; returns what Ray Train raised."""
        from sojourn_trainer.driver.launch import build_trainer

        trainer = build_trainer(
            self._job,
            actor,
            standby=self._options.prepared is None,
            machines=self._options.machines,
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
        looked = time.monotonic()
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            self._drain(coordinator)
            self._pass_on(coordinator)
            if time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                self._machines_joined()
            if not self._opened:
                if self._stop_reason:
                    break
                continue
            if not self._completed and coordinator.is_complete():
                self._say_completed(coordinator)
            if self._options.machines and self._completed:
                break
            if self._stop_reason and not self._completed and self._nothing_follows(coordinator):
                self._left_ray_train = True
                break
        return failure[0] if failure else None

    def _pass_on(self, coordinator: DriverHandle) -> None:
        """Tell the coordinator what signals and the supervisor ask for."""
        if self._signals:
            self._stop(coordinator, signal.Signals(self._signals.pop()).name)
        while not self._commands.empty():
            self._act_on(coordinator, self._commands.get())

    def _act_on(self, coordinator: DriverHandle, command: Command) -> None:
        match command.kind:
            case "stop":
                self._stop(coordinator, command.reason)
            case "begin":
                self._job = _job_of_run(command.prepared)
                self._open(coordinator, command.prepared)
            case _ if not self._opened:
                self._asked_early.append(command)
            case _:
                if command.kind == "leaving":
                    coordinator.expect_loss(command.host)
                coordinator.ask(Request.CHECKPOINT, command.reason)

    def _stop(self, coordinator: DriverHandle, reason: str) -> None:
        self._stop_reason = self._stop_reason or reason
        if self._opened:
            coordinator.ask(Request.STOP, reason)

    def _nothing_follows(self, coordinator: DriverHandle) -> bool:
        """Whether all is committed: the group has stopped, or none trains, such as while it is formed."""
        result = coordinator.result()
        if result.outcome is Outcome.STOPPED:
            # Ray Train takes seconds to end a group; in pods Ray itself ends next, and somebody may wait for the step.
            return self._options.machines > 0
        return result.outcome is None and result.failure is None and not coordinator.is_training()

    def _conclude(self, coordinator: DriverHandle, error: BaseException | None) -> int:
        result = coordinator.result()
        if result.failure is not None:
            failure = result.failure
            self._emit(_failed(failure.message, failure.hint, failure.exit_code, failure.reason))
            return failure.exit_code
        now = time.time()
        if result.outcome is None and error is None and self._stop_reason:
            latest = coordinator.last_commit()
            self._emit(events.Suspended(time=now, step=latest.step if latest else 0, reason=self._stop_reason))
            return EXIT_SUSPENDED
        if error is not None or result.outcome is None:
            log.error("Ray Train ended the run", exc_info=error)
            if self._options.machines:
                return EXIT_CRASHED  # machines come and go: try again, within backoffLimit
            self._emit(_failed(f"Ray Train ended the run: {error}", "The log has the details.", EXIT_FAILED))
            return EXIT_FAILED
        if result.outcome is Outcome.STOPPED:
            self._emit(events.Suspended(time=now, step=result.step, reason=result.stop_reason))
            return EXIT_SUSPENDED
        self._emit_completed(result)
        return EXIT_COMPLETED

    def _say_completed(self, coordinator: DriverHandle) -> None:
        """Before Ray Train has ended the group, which takes it seconds in which nothing happens any more."""
        coordinator.close()
        self._drain(coordinator)
        self._emit_completed(coordinator.result())
        self._completed = True

    def _emit_completed(self, result: Result) -> None:
        self._emit(
            events.Completed(
                time=time.time(),
                step=result.step,
                epoch=self._job.spec.training.epochs or 0,
                metrics=result.metrics,
                seconds=time.monotonic() - self._begun,
            )
        )

    def _drain(self, coordinator: DriverHandle) -> None:
        for line in coordinator.drain():
            _write(self._out, line)

    def _emit(self, event: events.Event) -> None:
        _write(self._out, events.encode(event))

    def _emit_launch(self, phase: str, begun: float) -> None:
        self._emit(events.Launch(time=time.time(), phase=phase, seconds=time.monotonic() - begun))


def tensorboard_folder(run: RunRef) -> str | None:
    """TensorBoard reads folders, so its files are kept with runs in a directory."""
    scheme, _, path = run.store.partition("://")
    return str(Path(path) / run.prefix / "tensorboard") if scheme == "file" else None


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


def _failed(message: str, hint: str, exit_code: int, reason: str = "") -> events.Failed:
    return events.Failed(time=time.time(), message=message, hint=hint, exit_code=exit_code, reason=reason)


def _parse(arguments: Sequence[str]) -> DriverOptions:
    parser = argparse.ArgumentParser(prog="python -m sojourn_trainer.driver")
    parser.add_argument("--ray-address", required=True)
    parser.add_argument("--standby", type=Path, metavar="JOB", help="stand by to train this job's run")
    for name in ("store", "prefix", "name", "run-id", "job-folder", "spec-digest"):
        parser.add_argument(f"--{name}", default="")
    for name in ("machines", "failures"):
        parser.add_argument(f"--{name}", type=int, default=0)
    found = parser.parse_args(arguments)
    run = RunRef(found.store, found.prefix, found.name, found.run_id)
    prepared = None if found.standby else PreparedRun(run, found.job_folder, found.spec_digest)
    return DriverOptions(prepared, found.standby, found.ray_address, found.machines, found.failures)


def _job_of(options: DriverOptions) -> TrainingJob:
    if options.prepared is not None:
        return _job_of_run(options.prepared)
    assert options.job is not None
    return TrainingJob.model_validate(json.loads(options.job.read_text()))


def _job_of_run(prepared: PreparedRun) -> TrainingJob:
    run = prepared.run
    return load_job(open_store(run.store), run.prefix, prepared.job_folder)
