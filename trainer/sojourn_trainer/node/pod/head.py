"""Index 0 of an attempt's pods: Ray's head and the driver, the reports, and the answers to what is asked."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Collection
from typing import Any, Self

from sojourn import events
from sojourn.api import TrainingJob
from sojourn.errors import StoreError
from sojourn.incluster import ApiError, ObjectClient
from sojourn.progress.plain import PlainRenderer
from sojourn.store.base import Store
from sojourn.store.environment import store_from_environment
from sojourn.store.open import open_store
from sojourn.store.probe import probe_exclusive_create
from sojourn_trainer.driver.commands import Command
from sojourn_trainer.driver.prepare import PreparedRun, RunRequest, prepare_run
from sojourn_trainer.node.pod import outcome
from sojourn_trainer.node.pod.code import find_code
from sojourn_trainer.node.pod.evictions import evicted_pods, remove_evictions
from sojourn_trainer.node.pod.logs import LogPlace, PodLog, forget_old_logs
from sojourn_trainer.node.pod.report import AT_ONCE, CHECKPOINT, LEAVING, AttemptReport, Fields
from sojourn_trainer.node.pod.reporter import Reporter
from sojourn_trainer.node.pod.settings import PodSettings
from sojourn_trainer.node.pod.watcher import Watcher
from sojourn_trainer.node.process_age import process_age
from sojourn_trainer.node.ray_plans import pod_head
from sojourn_trainer.node.stops import Stops
from sojourn_trainer.node.supervisor import Supervisor, Surroundings

log = logging.getLogger(__name__)

# Two pods that begin the run of one job begin one run.
_RUN_IDS = uuid.UUID("0c2d2f3e-8a55-5f5e-9d0b-5b0a5c0f7a11")
_FLUSH_SECONDS = 60.0  # how long the end is reported while the API server is away
_NOT_OURS = ("conditions", "observedGeneration", "evicted", "heartbeatTime")


class Head:
    """Runs one attempt, as far as this pod lives. A renderer of the supervisor's events.

    Args:
        found: the TrainingAttempt as it is now.
        job: the TrainingJob in it.
    """

    def __init__(
        self, pod: PodSettings, client: ObjectClient, found: dict[str, Any], job: TrainingJob, stops: Stops
    ) -> None:
        self._pod = pod
        self._client = client
        self._found = found
        self._job = job
        self._stops = stops
        self._stop_token = ""
        self._code = ""
        status: Fields = found.get("status", {})
        self._report = AttemptReport(status, found["spec"].get("priorFailures", 0))
        self._reporter = Reporter(
            client,
            self._report,
            {name: value for name, value in status.items() if name not in _NOT_OURS},
            PlainRenderer(sys.stdout),
            pod.report_seconds,
        )
        self._supervisor: Supervisor | None = None
        self._given = threading.Event()
        if not found["spec"].get("standby"):
            self._given.set()
        self.place: LogPlace | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def run(self, kept_log: PodLog) -> int:
        """Returns the exit code of the pod."""
        self._claim()
        watcher = Watcher(self._client, self)
        try:
            code = self._train(watcher)
            exit_code = self._conclude(code)
            kept_log.upload()
            return exit_code
        finally:
            watcher.close()
            if self._supervisor is not None:
                # Last, because workers on other machines look for it. What it leaves behind ends with the container.
                self._supervisor.close(at_once=True)

    def show(self, event: events.Event) -> None:
        """Take in one event."""
        self._reporter.show(event)
        if isinstance(event, events.Committed):
            pods = [request.partition(" ")[2] for request in event.requests if request.startswith(f"{LEAVING} ")]
            if pods:
                threading.Thread(target=self._let_go, args=(pods,), name="let-go", daemon=True).start()

    def run_given(self, found: dict[str, Any]) -> None:
        """The attempt, which may have stood by, is to train its run."""
        if not self._given.is_set():
            self._found = found
            self._given.set()

    def stop_asked(self, token: str, reason: str) -> None:
        """The operator asks to stop."""
        self._stop_token = token
        self._stops.ask(reason)

    def checkpoint_asked(self, token: str) -> None:
        """Somebody asks for a checkpoint."""
        self._order(Command("checkpoint", f"{CHECKPOINT} {token}"))

    def pod_leaving(self, pod: str) -> None:
        """A worker was told to stop, and keeps up until its work is committed."""
        self._order(Command("leaving", f"{LEAVING} {pod}", host=pod))

    def _claim(self) -> None:
        """Say that this pod drives the attempt from now on."""
        wanted = self._job.spec.workers.replicas
        self._reporter.change(
            head={"pod": self._pod.pod, "uid": self._pod.uid, "address": self._pod.head_address},
            workers={"wanted": wanted, "ready": 0},
        )
        self._reporter.start()
        self.show(events.Launch(time=time.time(), phase="start pod", seconds=process_age()))
        left = evicted_pods(self._found)
        if left:
            self._remove(left)

    def _train(self, watcher: Watcher) -> int:
        around = Surroundings(
            ray=pod_head(self._job, self._pod),
            machines=self._job.spec.workers.replicas,
            failures=self._report.all_failures,
        )
        self._supervisor = Supervisor(self._job, self._open_run, self, self._stops, around)
        watcher.start()
        return self._supervisor.run()

    def _open_run(self) -> PreparedRun | None:
        """The run that is to be trained, None while it is waited for. Raises SojournError."""
        if not self._given.is_set():
            return None
        begun = time.monotonic()
        prepared = self._prepare()
        self.show(events.Launch(time=time.time(), phase="open the run", seconds=time.monotonic() - begun))
        run = prepared.run
        found = {"runId": run.run_id, "name": run.name, "prefix": run.prefix}
        if self._code:
            # Whoever moves the run needs it: a ConfigMap stays behind, the run's own archive does not.
            found["code"] = self._code
        self._reporter.change(run={**self._report.fields.get("run", {}), **found})
        return prepared

    def _prepare(self) -> PreparedRun:
        """Find or begin the run, with the job and its code in its folder. Raises SojournError."""
        store = open_store(self._pod.store)
        probe_exclusive_create(store, rounds=2)
        found = find_code(self._job, store, self._pod.code)
        code = found.job.spec.task.code
        self._code = code.archive.digest if code is not None and code.archive is not None else ""
        attempt = self._pod.attempt
        run_id = self._found["spec"].get("runId") or self._found.get("status", {}).get("run", {}).get("runId", "")
        request = RunRequest(
            found.job,
            found.code,
            namespace=attempt.namespace,
            run_id=run_id,
            new_run_id=str(uuid.uuid5(_RUN_IDS, self._found["spec"]["jobUID"])),
            restore_store=_restore_store(),
        )
        prepared = prepare_run(store, request)
        self.place = LogPlace(store, prepared.run.prefix, attempt.name, self._pod.pod)
        try:
            forget_old_logs(store, prepared.run.prefix, attempt.name)
        except StoreError as error:
            log.warning("logs of old attempts stay: %s", error.message)
        return prepared

    def _conclude(self, code: int) -> int:
        """Report the end and wait until it is known; returns the pod's exit code."""
        end = outcome.judge(code, self._report.failure, asked=bool(self._stop_token), signalled=self._stops.signalled)

        def set_end(report: AttemptReport) -> float:
            if self._stop_token:
                report.answer_stop(self._stop_token)
            report.end(end.phase, end.exit_code, end.reason, time.time())
            return AT_ONCE

        self._reporter.update(set_end)
        if not self._reporter.flush(_FLUSH_SECONDS):
            log.warning("the end of this attempt could not be reported")
        outcome.leave_last_words(end, self._report.failure, self._pod.termination_log)
        return end.exit_code

    def _order(self, command: Command) -> None:
        assert self._supervisor is not None
        self._supervisor.order(command)

    def _let_go(self, pods: Collection[str]) -> None:
        """The work of these pods is committed, and known to be."""
        self._reporter.flush(_FLUSH_SECONDS)
        self._remove(pods)

    def _remove(self, pods: Collection[str]) -> None:
        try:
            remove_evictions(self._client, pods)
        except ApiError as error:
            log.warning("%s need not wait any more, and could not be told: %s", ", ".join(pods), error.message)


def _restore_store() -> Store | None:
    """The store of spec.restoreFrom, where the operator gives one."""
    return store_from_environment(prefix="SOJOURN_RESTORE_") if "SOJOURN_RESTORE_STORE" in os.environ else None


def is_replaced(found: dict[str, Any], uid: str) -> bool:
    """Whether another pod drives or drove this attempt, so that this one is of no use."""
    status = found.get("status", {})
    other = (status.get("head") or {}).get("uid", "")
    return other not in ("", uid) and status.get("phase") not in (None, "Pending", "Suspended")


def is_stopped(found: dict[str, Any]) -> bool:
    """Whether the attempt has done what spec.stop asks."""
    token = (found["spec"].get("stop") or {}).get("token")
    return token is not None and token == (found.get("status", {}).get("stopped") or {}).get("token")
