"""A TrainingJob to watch, steer and wait for."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sojourn.errors import Refused
from sojourn.events import Event
from sojourn_operator.client.errors import JobFailed
from sojourn_operator.client.events import Seen, events_between, is_over
from sojourn_operator.client.namespace import Namespace
from sojourn_operator.client.tree import JobTree, collect
from sojourn_operator.resources import TRAINING_ATTEMPTS, TRAINING_JOBS
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.conditions import get_condition, is_true, reason_of
from sojourn_operator.runtime.objects import Object


@dataclass(frozen=True, slots=True)
class Job:
    """A TrainingJob of the client's namespace. Nothing is cached: every question asks the cluster."""

    client: Namespace
    name: str

    @property
    def object(self) -> Object:
        """The TrainingJob as it is now. Raises NotFound."""
        return self.client.need(TRAINING_JOBS, self.name)

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status; {} while the operator has not seen it."""
        found: Mapping[str, Any] = self.object.get("status", {})
        return found

    @property
    def phase(self) -> str:
        """Pending, Running, Suspending, Suspended, Complete, Failed or OwnedElsewhere."""
        return str(self.status.get("phase", "Pending"))

    def tree(self) -> JobTree:
        """The job with its attempts, pods, checkpoints, migrations and servers."""
        return collect(self.client, self.object)

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """What happens, as it happens, until the job has ended or is suspended; see sojourn.events.

        Raises:
            NotFound: the job was deleted.
            TimedOut: it goes on after `timeout` seconds.
        """
        seen = Seen()
        for _ in self.client.looks(timeout, f"TrainingJob {self.name}"):
            now = self._look()
            yield from events_between(seen, now, self.client.clock.now().timestamp())
            if is_over(now.job):
                return
            seen = now

    def wait(self, timeout: float | None = None) -> Mapping[str, Any]:
        """Wait until the job has ended or is suspended; its status then.

        Raises:
            JobFailed: it failed, or its run is owned elsewhere.
            TimedOut: it goes on after `timeout` seconds.
        """
        found: Object = {}
        for _ in self.client.looks(timeout, f"TrainingJob {self.name}"):
            found = self.object
            if is_over(found):
                break
        self._refuse_failure(found)
        status: Mapping[str, Any] = found["status"]
        return status

    def request_checkpoint(self, *, wait: bool = True, timeout: float | None = 600.0) -> int | None:
        """Ask for a checkpoint now; its step, or None without `wait`.

        Raises:
            Refused: the job does not train.
            TimedOut: there is none after `timeout` seconds.
        """
        if self.phase not in ("Running", "Suspending"):
            raise Refused(
                f"TrainingJob {self.name} does not train: it is {self.phase}",
                hint=f"`sojourn status {self.name}` shows why.",
            )
        token = f"cli-{rfc3339(self.client.clock.now())}"
        self._patch({"checkpoint": {"request": token}})
        if not wait:
            return None
        for _ in self.client.looks(timeout, f"the checkpoint of TrainingJob {self.name}"):
            found = self.object
            answer = found.get("status", {}).get("checkpointRequest", {})
            if answer.get("token") == token and "step" in answer:
                return int(answer["step"])
            if is_over(found):
                raise JobFailed(f"TrainingJob {self.name} ended before it made the checkpoint")
        return None

    def suspend(self, *, wait: bool = True, timeout: float | None = 600.0) -> int | None:
        """Commit a checkpoint and stop; the committed step, or None without `wait`.

        Raises:
            Refused: the job has ended.
            JobFailed: it failed meanwhile.
            TimedOut: it still stops after `timeout` seconds.
        """
        if self.phase in ("Complete", "Failed"):
            raise Refused(f"TrainingJob {self.name} has ended: it is {self.phase}")
        self._patch({"suspend": True})
        if not wait:
            return None
        for _ in self.client.looks(timeout, f"the suspension of TrainingJob {self.name}"):
            found = self.object
            if is_over(found):
                self._refuse_failure(found)
                return int(found["status"].get("lastCommit", {}).get("step", 0))
        return None

    def resume(self) -> None:
        """Go on training. Returns at once.

        A job that stopped because somebody else had started its run takes it back.

        Raises:
            Refused: it has ended, or its run was handed over.
        """
        found = self.object
        phase = found.get("status", {}).get("phase")
        started_elsewhere = phase == "OwnedElsewhere" and reason_of(found, "OwnedElsewhere") == "StartedElsewhere"
        if phase in ("Complete", "Failed", "OwnedElsewhere") and not started_elsewhere:
            raise Refused(
                f"TrainingJob {self.name} cannot go on: it is {phase}",
                hint=f"`sojourn status {self.name}` shows why.",
            )
        if started_elsewhere:
            # It asks the log again only when its spec has changed.
            self._patch({"suspend": True})
        self._patch({"suspend": False})

    def attempts(self) -> list[Object]:
        """Its TrainingAttempts, oldest first."""
        found = self.client.all(TRAINING_ATTEMPTS, self.client.namespace)
        mine = [attempt for attempt in found if attempt["spec"]["jobName"] == self.name]
        return sorted(mine, key=lambda attempt: attempt["spec"]["number"])

    def _look(self) -> Seen:
        job = self.object
        return Seen(job, self.attempts())

    def _patch(self, spec: Mapping[str, Any]) -> None:
        self.client.port.patch(TRAINING_JOBS, self.client.namespace, self.name, {"spec": spec})

    def _refuse_failure(self, found: Object) -> None:
        if is_true(found, "Failed") or found["status"].get("phase") in ("Failed", "OwnedElsewhere"):
            said = get_condition(found, "Failed") or get_condition(found, "Ready") or {}
            raise JobFailed(
                f"TrainingJob {self.name} is {found['status'].get('phase')}: {said.get('message', 'no message')}",
                hint=f"`sojourn logs {self.name}` shows its log, `sojourn status {self.name}` what happened.",
            )

    def _repr_html_(self) -> str:
        status = self.status
        step, total = status.get("step", 0), status.get("totalSteps") or 0
        words = [f"<b>{html.escape(self.name)}</b>", str(status.get("phase", "Pending")), f"step {step:,} of {total:,}"]
        words += [f"{html.escape(name)} {value:.4g}" for name, value in status.get("metrics", {}).items()]
        bar = f'<progress max="{max(total, 1)}" value="{step}" style="width:100%"></progress>'
        return f'<div style="max-width:60em">{" · ".join(words)}<br>{bar}</div>'
