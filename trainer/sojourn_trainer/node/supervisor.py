"""Keeps Ray and the driver running until the job is done, and stops them in the right order.

On SIGTERM only the driver is told; Ray stays up until the boundary checkpoint is committed or the grace period ends.
"""

from __future__ import annotations

import logging
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

from sojourn import events
from sojourn.api import TrainingJob
from sojourn.errors import SojournError
from sojourn.progress.output import Renderer
from sojourn_trainer.driver.backoff import Backoff
from sojourn_trainer.driver.prepare import PreparedRun
from sojourn_trainer.node.children import start_child, stop_group
from sojourn_trainer.node.export import export_run
from sojourn_trainer.node.policy import Next, after_driver, how_it_ended
from sojourn_trainer.node.ray_head import RayHead

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_GRACE_MARGIN_SECONDS = 2.0
_HEAD_LOST = -100


class Supervisor:
    """Runs one prepared job to its end.

    Args:
        ray: a local head to start, or None to use the cluster at `ray_address`.
    """

    def __init__(
        self, job: TrainingJob, prepared: PreparedRun, renderer: Renderer, ray: RayHead | None, ray_address: str | None
    ) -> None:
        self._job = job
        self._prepared = prepared
        self._renderer = renderer
        self._ray = ray
        self._ray_address = ray_address
        self._begun = time.monotonic()
        self._stop_asked: list[int] = []
        self._stop_deadline: float | None = None
        self._deadline_passed = False
        self._backoff = Backoff(job.spec.backoff_limit)
        self._last_step: int | None = None
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def run(self) -> int:
        """Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: self._stop_asked.append(received))
        try:
            code = self._attempts()
        except SojournError as error:
            self._fail(error.message, error.hint, error.exit_code)
            code = error.exit_code
        finally:
            if self._ray is not None:
                self._ray.stop()
        if code == 0 and self._job.spec.export is not None:
            code = self._export()
        return code

    def _attempts(self) -> int:
        while True:
            self._start_ray()
            code = self._drive()
            if self._deadline_passed:
                return self._fail_deadline()
            if code not in (0, 1, 2, 3, 4, 5) and not self._stop_asked:
                self._backoff = self._backoff.after_failure()
            match after_driver(code, bool(self._stop_asked), self._backoff):
                case Next.END:
                    return code
                case Next.GIVE_UP:
                    return self._fail_for_good(code)
                case Next.RESTART:
                    self._report_restart(code)

    def _start_ray(self) -> None:
        if self._ray is None or (self._ray.process is not None and self._ray.process.poll() is None):
            return
        self._ray.stop()
        begun = time.monotonic()
        self._ray.start()
        self._show(events.Launch(time=time.time(), phase="start Ray", seconds=time.monotonic() - begun))
        if self._ray.dashboard_url:
            self._show(events.Dashboard(time=time.time(), url=self._ray.dashboard_url))
        text = f"metrics for Prometheus at {self._ray.metrics_url}"
        self._show(events.Message(time=time.time(), level="info", text=text))

    def _drive(self) -> int:
        """One driver process from start to end; returns its exit code, or _HEAD_LOST."""
        run = self._prepared.run
        command = [
            *(sys.executable, "-m", "sojourn_trainer.driver"),
            *("--store", run.store, "--prefix", run.prefix, "--name", run.name, "--run-id", run.run_id),
            *("--job-folder", self._prepared.job_folder, "--spec-digest", self._prepared.spec_digest),
            *("--ray-address", self._ray.address if self._ray else self._ray_address or "auto"),
        ]
        driver = start_child(command, self._ray.environment if self._ray else {})
        assert driver.stdout is not None
        reader = threading.Thread(target=self._read, args=(driver.stdout,), daemon=True)
        reader.start()
        told = False
        head_lost = False
        while driver.poll() is None:
            self._forward()
            told = self._pass_on_stop(driver.send_signal, told)
            head_lost = self._head_is_lost()
            if head_lost or (self._stop_deadline is not None and time.monotonic() > self._stop_deadline):
                break
            time.sleep(_POLL_SECONDS)
        stop_group(driver, signal.SIGKILL, 1)
        reader.join(5)
        self._forward()
        return _HEAD_LOST if head_lost else driver.returncode

    def _pass_on_stop(self, send: Callable[[int], None], told: bool) -> bool:
        """Tell the driver once to stop, on a signal or at the job's deadline."""
        limit = self._job.spec.active_deadline_seconds
        if limit is not None and time.monotonic() - self._begun > limit and not self._stop_asked:
            self._deadline_passed = True
            self._stop_asked.append(signal.SIGTERM)
        if self._stop_asked and not told:
            grace = max(1.0, self._job.spec.termination_grace_period_seconds - _GRACE_MARGIN_SECONDS)
            self._stop_deadline = time.monotonic() + grace
            send(signal.SIGTERM)
            return True
        return told

    def _head_is_lost(self) -> bool:
        return self._ray is not None and self._ray.process is not None and self._ray.process.poll() is not None

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(line)

    def _forward(self) -> None:
        while not self._lines.empty():
            event = events.decode(self._lines.get().decode(errors="replace"))
            if event is None:
                continue
            if isinstance(event, events.Committed):
                self._backoff = self._backoff.after_commit()
                self._last_step = event.step
            self._show(event)

    def _report_restart(self, code: int) -> None:
        what = "Ray's head was lost" if code == _HEAD_LOST else f"the driver {how_it_ended(code)}"
        self._show(
            events.AttemptFailed(
                time=time.time(),
                attempt=self._prepared.run.run_id,
                error=what,
                failures=self._backoff.failures,
                backoff_limit=self._backoff.limit,
            )
        )

    def _fail_for_good(self, code: int) -> int:
        committed = f"step {self._last_step}" if self._last_step is not None else "none in this start"
        if self._stop_asked:
            grace = self._job.spec.termination_grace_period_seconds
            self._fail(
                f"the checkpoint at the stop was not committed within {grace} s; the newest is {committed}",
                "Raise spec.terminationGracePeriodSeconds, or look for a slow store in the log.",
                1,
            )
        else:
            what = "Ray's head was lost" if code == _HEAD_LOST else f"the driver {how_it_ended(code)}"
            self._fail(
                f"{what}, the failure number {self._backoff.failures} without a new checkpoint between",
                "The log has the details. Run the job again to go on from the newest checkpoint.",
                1,
            )
        return 1

    def _fail_deadline(self) -> int:
        committed = f"committed up to step {self._last_step}" if self._last_step is not None else "nothing committed"
        limit = self._job.spec.active_deadline_seconds
        self._fail(
            f"spec.activeDeadlineSeconds ({limit}) passed; {committed}",
            "Raise it and run the job again to go on from there.",
            1,
        )
        return 1

    def _export(self) -> int:
        assert self._job.spec.export is not None
        try:
            exported = export_run(self._prepared.run, self._job.spec.export.formats)
        except SojournError as error:
            self._fail(error.message, error.hint, error.exit_code)
            return error.exit_code
        self._show(exported)
        return 0

    def _fail(self, message: str, hint: str, exit_code: int) -> None:
        self._show(events.Failed(time=time.time(), message=message, hint=hint, exit_code=exit_code))

    def _show(self, event: events.Event) -> None:
        self._renderer.show(event)
