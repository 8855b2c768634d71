"""What happened to a job between two looks at it, in the words of sojourn.events. Pure.

What a status does not hold, such as how long a save took, is not a number here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sojourn import events
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition, is_true
from sojourn_operator.runtime.objects import Object

NOT_KNOWN = math.nan


@dataclass(frozen=True, slots=True)
class Seen:
    """A job and its attempts, oldest first, at one moment."""

    job: Object | None = None
    attempts: Sequence[Object] = ()

    def attempt(self, name: str) -> Object | None:
        """The attempt of this name, or None."""
        return next((attempt for attempt in self.attempts if _name(attempt) == name), None)


def is_over(job: Object | None) -> bool:
    """Whether nothing more happens by itself: complete, failed, suspended, or owned elsewhere."""
    if job is None:
        return False
    status = job.get("status", {})
    if status.get("observedGeneration", 0) < job["metadata"].get("generation", 0):
        return False
    return status.get("phase") in ("Complete", "Failed", "Suspended", "OwnedElsewhere")


def events_between(before: Seen, after: Seen, now: float) -> Iterator[events.Event]:
    """The events that lead from one look to the next, with `now` in seconds since the epoch as their time."""
    # Of a job that has had many attempts before anybody looked, only the newest is news.
    first = _name(before.attempts[-1]) if before.attempts else _name(after.attempts[-1]) if after.attempts else ""
    names = [_name(attempt) for attempt in after.attempts]
    for name in names[names.index(first) if first in names else 0 :]:
        attempt, old = after.attempt(name), before.attempt(name)
        assert attempt is not None
        yield from _of_attempt(old.get("status", {}) if old else {}, attempt, after.job, now)
        if name != names[-1]:
            yield from _lost(attempt, after.job, now)
    yield from _waiting(before.job, after.job, now)
    if is_over(after.job) and not is_over(before.job) and after.job is not None:
        yield _end(after.job, now)


def _of_attempt(old: Mapping[str, Any], attempt: Object, job: Object | None, now: float) -> Iterator[events.Event]:
    new: Mapping[str, Any] = attempt.get("status", {})
    for phase in new.get("launch", ())[len(old.get("launch", ())) :]:
        yield events.Launch(time=now, phase=phase["phase"], seconds=phase["seconds"])
    dashboard = new.get("head", {}).get("dashboardURL", "")
    if dashboard and dashboard != old.get("head", {}).get("dashboardURL"):
        yield events.Dashboard(time=now, url=dashboard)
    if new.get("run", {}).get("term") not in (None, old.get("run", {}).get("term")) and "totalSteps" in new:
        yield _started(attempt, new, now)
    failures = new.get("failures", 0)
    if failures > old.get("failures", 0):
        yield _failed(attempt, job, new.get("outcome", {}).get("message", "a worker was lost"), failures, now)
    if new.get("step", 0) != old.get("step", 0) or (new.get("step") and new.get("metrics") != old.get("metrics")):
        yield _progress(new, now)
    commit = new.get("lastCommit")
    if commit and commit["manifest"] != old.get("lastCommit", {}).get("manifest"):
        yield events.Committed(
            time=now,
            step=commit["step"],
            bytes=commit.get("bytes", 0),
            seconds=NOT_KNOWN,
            stall_seconds=NOT_KNOWN,
            checkpoint=commit.get("checkpoint", ""),
        )
    for export in new.get("exports", ())[len(old.get("exports", ())) :]:
        yield events.Exported(
            time=now, version=export["version"], formats=tuple(export.get("formats", ())), seconds=NOT_KNOWN
        )


def _started(attempt: Object, status: Mapping[str, Any], now: float) -> events.Started:
    spec, run = attempt["spec"]["job"], status["run"]
    epochs = spec.get("training", {}).get("epochs") or 0
    total = status["totalSteps"]
    return events.Started(
        time=now,
        run=run.get("name", attempt["spec"]["jobName"]),
        run_id=run.get("runId", ""),
        attempt=_name(attempt),
        term=run["term"],
        restored_step=status.get("step") or None,
        workers=spec.get("workers", {}).get("replicas", 1),
        strategy=spec.get("strategy", "Default"),
        steps_per_epoch=total // epochs if epochs else 0,
        total_steps=total,
        epochs=epochs,
    )


def _progress(status: Mapping[str, Any], now: float) -> events.Progress:
    metrics = dict(status.get("metrics", {}))
    commit = status.get("lastCommit")
    return events.Progress(
        time=now,
        step=status.get("step", 0),
        epoch=status.get("epoch", 0),
        total_steps=status.get("totalSteps", 0),
        loss=metrics.pop("loss", NOT_KNOWN),
        metrics=metrics,
        samples_per_second=status.get("samplesPerSecond"),
        eta_seconds=status.get("etaSeconds"),
        seconds_since_commit=now - parse_rfc3339(commit["time"]).timestamp() if commit else None,
    )


def _lost(attempt: Object, job: Object | None, now: float) -> Iterator[events.Event]:
    status = attempt.get("status", {})
    if status.get("phase") not in ("Succeeded", "Suspended"):
        why = status.get("outcome", {}).get("message") or "it was lost"
        yield _failed(attempt, job, why, (job or {}).get("status", {}).get("failures", 0), now)


def _failed(attempt: Object, job: Object | None, why: str, failures: int, now: float) -> events.AttemptFailed:
    limit = (job or {}).get("spec", {}).get("backoffLimit", 0)
    return events.AttemptFailed(time=now, attempt=_name(attempt), error=why, failures=failures, backoff_limit=limit)


def _waiting(before: Object | None, after: Object | None, now: float) -> Iterator[events.Event]:
    """Say why a job does not train, once per reason."""
    if after is None or after.get("status", {}).get("phase", "Pending") != "Pending":
        return
    new, old = get_condition(after, "Ready"), get_condition(before, "Ready") if before else None
    if new is not None and new.get("message") and new.get("message") != (old or {}).get("message"):
        yield events.Message(time=now, level="info", text=f"{new['reason']}: {new['message']}")


def _end(job: Object, now: float) -> events.Event:
    status = job["status"]
    step = status.get("lastCommit", {}).get("step", status.get("step", 0))
    if is_true(job, "Complete") or status["phase"] == "Complete":
        return events.Completed(
            time=now,
            step=step,
            epoch=status.get("epoch", 0),
            metrics=status.get("metrics", {}),
            seconds=float(status.get("activeSeconds", 0)),
        )
    if status["phase"] == "Suspended":
        said = get_condition(job, "Suspended") or {}
        return events.Suspended(time=now, step=step, reason=said.get("message") or "spec.suspend")
    said = get_condition(job, "Failed") or get_condition(job, "Ready") or {}
    message = f"{said.get('reason', status['phase'])}: {said.get('message', '')}"
    return events.Failed(time=now, message=message, exit_code=1)


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])
