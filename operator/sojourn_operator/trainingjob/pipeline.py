"""The stages of an attempt, for people who want to know where it is (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sojourn_operator.runtime.conditions import get_condition
from sojourn_operator.trainingattempt import reasons as attempt_reasons
from sojourn_operator.trainingjob.attempts import AttemptView

_WAITING = frozenset(
    {
        attempt_reasons.CREATED,
        attempt_reasons.QUEUED,
        attempt_reasons.EVICTED,
        attempt_reasons.UNSCHEDULABLE,
        attempt_reasons.NAME_TAKEN,
        attempt_reasons.ENGINE_NOT_INSTALLED,
    }
)


def stages(attempt: AttemptView, status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Schedule, Start and Train, each with its phase, times and, for training, its steps."""
    reported = attempt.status
    head, started = "head" in reported, reported.get("startTime")
    end = reported.get("completionTime") if attempt.ended else None
    created = attempt.object["metadata"].get("creationTimestamp")
    ready: Mapping[str, Any] = get_condition(attempt.object, attempt_reasons.READY) or {}
    waits = ready.get("reason", attempt_reasons.CREATED) in _WAITING
    schedule = _stage("Schedule", done=head or started is not None or not waits, begun=True, ended=attempt.ended)
    start = _stage("Start", done=started is not None, begun=schedule["phase"] == "Succeeded", ended=attempt.ended)
    train = _stage("Train", done=False, begun=started is not None, ended=attempt.ended)
    if attempt.end_reason == attempt_reasons.SUCCEEDED:
        schedule["phase"] = start["phase"] = train["phase"] = "Succeeded"
    schedule["startTime"] = created
    if started is not None:
        start["completionTime"] = train["startTime"] = started
    if end is not None and started is not None:
        train["completionTime"] = end
    if "progress" in status:
        train["progress"] = status["progress"]
    running = next((stage for stage in (schedule, start, train) if stage["phase"] in ("Running", "Failed")), None)
    if running is not None and ready:
        running["reason"] = ready["reason"]
        running["message"] = ready.get("message", "")
    return [schedule, start, train]


def _stage(name: str, *, done: bool, begun: bool, ended: bool) -> dict[str, Any]:
    if done:
        phase = "Succeeded"
    elif not begun:
        phase = "Skipped" if ended else "Pending"
    else:
        phase = "Failed" if ended else "Running"
    return {"name": name, "phase": phase}
