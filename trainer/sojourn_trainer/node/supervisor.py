"""Keeps Ray and the driver running until the job is done, and stops them in the right order.

On SIGTERM only the driver is told; Ray stays up until the boundary checkpoint is committed or the grace period ends.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

from sojourn import events
from sojourn.api import TrainingJob
from sojourn.errors import SojournError
from sojourn.progress.output import Renderer
from sojourn.runlog.log import RunLog
from sojourn.store.open import open_store
from sojourn_trainer.driver.backoff import Backoff
from sojourn_trainer.driver.commands import Command
from sojourn_trainer.driver.prepare import PreparedRun
from sojourn_trainer.node.driver_process import DriverProcess, DriverStart
from sojourn_trainer.node.export import export_run
from sojourn_trainer.node.policy import SPOKEN, Next, after_driver, how_it_ended
from sojourn_trainer.node.ray_node import RayNode
from sojourn_trainer.node.stops import Stops

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_HEAD_LOST = -100
_SUSPENDED = 3


@dataclass(frozen=True)
class Surroundings:
    """Where a job is run.

    Attributes:
        ray: a head to start, or None to use the cluster at `ray_address`.
        machines: how many join that head, one per worker; 0 where the workers share what there is.
        failures: without a commit between them, before this node.
        limit_seconds: the job has failed if it takes longer, unless that is None.
    """

    ray: RayNode | None
    ray_address: str = "auto"
    machines: int = 0
    failures: int = 0
    limit_seconds: float | None = None


class Supervisor:
    """Runs one job to its end.

    Args:
        prepare: finds or begins the run. While it has none, everything that needs no run gets ready for it.
    """

    def __init__(
        self,
        job: TrainingJob,
        prepare: Callable[[], PreparedRun | None],
        renderer: Renderer,
        stops: Stops,
        around: Surroundings,
    ) -> None:
        self._job = job
        self._prepare = prepare
        self._prepared: PreparedRun | None = None
        self._renderer = renderer
        self._stops = stops
        self._around = around
        self._ray = around.ray
        self._begun = time.monotonic()
        self._deadline_passed = False
        self._backoff = Backoff(job.spec.backoff_limit, around.failures)
        self._last_step: int | None = None
        self._completed = False
        self._suspended = False
        self._orders: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._open: dict[str, Command] = {}

    def order(self, command: Command) -> None:
        """Ask for a checkpoint; the commit that answers names the command's reason. From any thread."""
        self._orders.put(command)

    def run(self) -> int:
        """Returns the exit code. Ray runs on until `close`."""
        try:
            self._prepared = self._prepare()
            code = self._attempts()
        except SojournError as error:
            self._fail(error.message, error.hint, error.exit_code, type(error).__name__)
            code = error.exit_code
        if code == 0 and self._job.spec.export is not None:
            self.close()  # an export needs the memory, and no Ray
            code = self._export()
        return code

    def close(self, *, at_once: bool = False) -> None:
        """Stop Ray; see RayNode.stop."""
        if self._ray is not None:
            self._ray.stop(at_once=at_once)

    def _attempts(self) -> int:
        while True:
            if not self._stops.asked:
                self._start_ray()
            if self._stops.asked:
                return self._suspend()
            code = self._drive()
            if self._deadline_passed:
                return self._fail_deadline()
            if code not in SPOKEN and not self._stops.asked:
                self._backoff = self._backoff.after_failure()
            match after_driver(code, self._stops.asked, self._backoff):
                case Next.END:
                    return code
                case Next.GIVE_UP:
                    return self._fail_for_good(code)
                case Next.RESTART:
                    self._report_restart(code)

    def _start_ray(self) -> None:
        if self._ray is None or self._ray.running:
            return
        self._ray.stop()
        begun = time.monotonic()
        self._ray.start()
        plan = self._ray.plan
        self._show(events.Launch(time=time.time(), phase="start Ray", seconds=time.monotonic() - begun))
        if plan.dashboard_url:
            self._show(events.Dashboard(time=time.time(), url=plan.dashboard_url))
        self._show(events.Message(time=time.time(), level="info", text=f"metrics for Prometheus at {plan.metrics_url}"))

    def _suspend(self) -> int:
        """The end of a node that was stopped while no driver ran: everything there is, is committed."""
        self._show(events.Suspended(time=time.time(), step=self._newest_step(), reason=self._stops.reason))
        return _SUSPENDED

    def _newest_step(self) -> int:
        if self._prepared is None:
            return 0
        run = self._prepared.run
        latest = RunLog.open(open_store(run.store), run.prefix).state.latest
        return latest.step if latest is not None else 0

    def _drive(self) -> int:
        """One driver process from start to end; returns its exit code, or _HEAD_LOST."""
        address = self._ray.plan.address if self._ray else self._around.ray_address
        driver = DriverProcess(
            DriverStart(self._prepared, self._job, address, self._around.machines, self._backoff.failures),
            self._ray.plan.environment if self._ray else {},
        )
        for command in self._open.values():
            driver.send(command)
        told = False
        head_lost = False
        while driver.running:
            self._forward(driver)
            self._give_run(driver)
            told = self._pass_on(driver, told)
            head_lost = self._ray is not None and not self._ray.running
            if head_lost or self._stops.overdue or self._nothing_follows():
                break
            time.sleep(_POLL_SECONDS)
        code = driver.end()
        self._forward(driver)
        if self._completed:
            return 0
        if self._suspended:
            return _SUSPENDED
        return _HEAD_LOST if head_lost else code

    def _give_run(self, driver: DriverProcess) -> None:
        """Tell a driver in standby which run it is to train, once that is known."""
        if self._prepared is not None:
            return
        try:
            self._prepared = self._prepare()
        except SojournError:
            driver.end()
            raise
        if self._prepared is not None:
            driver.send(Command.begin(self._prepared))

    def _nothing_follows(self) -> bool:
        """Whether the driver only waits for Ray Train to end a group, in a Ray that ends next."""
        return (self._completed or self._suspended) and self._ray is not None

    def _pass_on(self, driver: DriverProcess, told: bool) -> bool:
        """Give the driver its orders, and tell it once to stop: when asked, or at the job's deadline."""
        while not self._orders.empty():
            command = self._orders.get()
            self._open[command.reason] = command
            driver.send(command)
        limit = self._around.limit_seconds
        if limit is not None and time.monotonic() - self._begun > limit and not self._stops.asked:
            self._deadline_passed = True
            self._stops.interrupt("spec.activeDeadlineSeconds")
        if self._stops.asked and not told:
            driver.send(Command("stop", self._stops.reason))
            self._show(events.Stopping(time=time.time(), reason=self._stops.reason))
        return self._stops.asked

    def _forward(self, driver: DriverProcess) -> None:
        for event in driver.events():
            match event:
                case events.Committed():
                    self._backoff = self._backoff.after_commit()
                    self._last_step = event.step
                    for token in event.requests:
                        self._open.pop(token, None)
                case events.Completed():
                    self._completed = True
                case events.Suspended():
                    self._suspended = True
                case events.AttemptFailed():
                    self._backoff = Backoff(self._backoff.limit, event.failures)
            self._show(event)

    def _report_restart(self, code: int) -> None:
        what = "Ray's head was lost" if code == _HEAD_LOST else f"the driver {how_it_ended(code)}"
        self._show(
            events.AttemptFailed(
                time=time.time(),
                attempt=self._prepared.run.run_id if self._prepared else "",
                error=what,
                failures=self._backoff.failures,
                backoff_limit=self._backoff.limit,
            )
        )

    def _fail_for_good(self, code: int) -> int:
        committed = f"step {self._last_step}" if self._last_step is not None else "none in this start"
        if self._stops.asked:
            allowed = self._stops.grace_seconds
            self._fail(
                f"the checkpoint at the stop was not committed within {allowed:g} s; the newest is {committed}",
                "Raise spec.terminationGracePeriodSeconds, the end of which is left for Ray, or look for a slow store "
                "in the log.",
                1,
                "NotCommitted",
            )
        else:
            what = "Ray's head was lost" if code == _HEAD_LOST else f"the driver {how_it_ended(code)}"
            self._fail(
                f"{what}, the failure number {self._backoff.failures} without a new checkpoint between",
                "The log has the details. Run the job again to go on from the newest checkpoint.",
                1,
                "BackoffLimitExceeded",
            )
        return 1

    def _fail_deadline(self) -> int:
        committed = f"committed up to step {self._last_step}" if self._last_step is not None else "nothing committed"
        self._fail(
            f"spec.activeDeadlineSeconds ({self._around.limit_seconds:g}) passed; {committed}",
            "Raise it and run the job again to go on from there.",
            1,
            "DeadlineExceeded",
        )
        return 1

    def _export(self) -> int:
        assert self._job.spec.export is not None
        assert self._prepared is not None
        try:
            exported = export_run(self._prepared.run, self._job.spec.export.formats)
        except SojournError as error:
            self._fail(error.message, error.hint, error.exit_code, "ExportFailed")
            return error.exit_code
        self._show(exported)
        return 0

    def _fail(self, message: str, hint: str, exit_code: int, reason: str) -> None:
        failed = events.Failed(time=time.time(), message=message, hint=hint, exit_code=exit_code, reason=reason)
        self._show(failed)

    def _show(self, event: events.Event) -> None:
        self._renderer.show(event)
