"""The status of a job, from the decision on it and from what its attempt reports (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sojourn_operator.engines.names import DASHBOARD_PORT, attempt_name, dashboard_name
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.conditions import Condition, condition, get_condition, is_true, with_conditions
from sojourn_operator.trainingattempt import reasons as attempt_reasons
from sojourn_operator.trainingjob import reasons
from sojourn_operator.trainingjob.attempts import AttemptView
from sojourn_operator.trainingjob.decide import Decision, active_seconds
from sojourn_operator.trainingjob.feasible import Feasibility
from sojourn_operator.trainingjob.observe import Observed
from sojourn_operator.trainingjob.pipeline import stages

SLOW: Final = (
    "step",
    "epoch",
    "progress",
    "etaSeconds",
    "samplesPerSecond",
    "metrics",
    "lastCommit",
    "head",
    "pipeline",
)
"""Fields that merely progress: written every few seconds, and with every transition."""

_PHASES: Final = {
    "Suspending": "Suspending",
    "Suspended": "Suspended",
    "Complete": "Complete",
    "Failed": "Failed",
    "OwnedElsewhere": "OwnedElsewhere",
}
_FROM_ATTEMPT: Final = ("step", "epoch", "totalSteps", "metrics", "lastCommit", "saveInterval", "workers")
_FROM_RUN: Final = {"runId": "runId", "prefix": "prefix", "code": "code", "term": "term", "logHead": "head"}
_OVER: Final = ("Complete", "Failed")


def job_status(seen: Observed, decision: Decision, feasible: Feasibility) -> dict[str, Any]:
    """The whole status."""
    status: dict[str, Any] = {**seen.status, "observedGeneration": seen.job["metadata"].get("generation", 0)}
    running = decision.course == "Go" and decision.reason == attempt_reasons.TRAINING
    standby = decision.course == "Go" and decision.reason == attempt_reasons.STANDBY
    going = "Running" if running else "Standby" if standby else "Pending"
    status["phase"] = _PHASES.get(decision.course, going)
    status["failures"] = decision.failures
    if decision.number and (decision.attempt is not None or decision.course == "Start"):
        status["attempts"] = decision.number
        status["attempt"] = attempt_name(seen.job["metadata"]["name"], decision.number)
    if feasible.store is not None:
        status["store"] = {k: feasible.store[k] for k in ("name", "uri") if k in feasible.store}
        if "name" in status["store"]:
            status["store"].pop("uri", None)
    if is_true(seen.job, reasons.RUNNING) and not running:
        status["activeSeconds"] = active_seconds(seen)
    if decision.course in _OVER:
        status.setdefault("completionTime", rfc3339(seen.now))
    _take_over(status, seen, decision)
    wanted = _conditions(seen, decision, feasible, running)
    generation = status["observedGeneration"]
    status["conditions"] = with_conditions(seen.status.get("conditions", ()), wanted, generation, seen.now)
    return status


def refused_status(seen: Observed) -> dict[str, Any]:
    """The status of a job whose spec this operator does not understand."""
    message = f"{seen.problem}; the operator may be older than the job"
    wanted = [
        condition(reasons.READY, False, reasons.INVALID_SPEC, message),
        condition(reasons.FEASIBLE, False, reasons.INVALID_SPEC, message),
    ]
    generation = seen.job["metadata"].get("generation", 0)
    conditions = with_conditions(seen.status.get("conditions", ()), wanted, generation, seen.now)
    return {"phase": "Pending", **seen.status, "observedGeneration": generation, "conditions": conditions}


def _take_over(status: dict[str, Any], seen: Observed, decision: Decision) -> None:
    """What the attempt reports; what it does not report yet stays as the one before left it."""
    attempt = decision.attempt
    if attempt is None:
        if decision.course == "Start" and seen.spec is not None:
            status["workers"] = {"wanted": seen.spec.workers.replicas, "ready": 0}
        return
    reported = attempt.status
    status.update({name: reported[name] for name in _FROM_ATTEMPT if name in reported})
    run: Mapping[str, Any] = reported.get("run", {})
    status.update({ours: run[theirs] for theirs, ours in _FROM_RUN.items() if theirs in run})
    if "startTime" in reported:
        status.setdefault("startTime", reported["startTime"])
    if "step" in status:
        total = {"total": status["totalSteps"]} if "totalSteps" in status else {}
        status["progress"] = {"done": status["step"], **total, "unit": "steps"}
    going = not attempt.ended
    for name in ("etaSeconds", "samplesPerSecond"):
        status[name] = reported.get(name) if going else None
    status["dashboardURL"] = _dashboard(seen) if going and "head" in reported else None
    if not going and "workers" in status:
        status["workers"] = {**status["workers"], "ready": 0}
    status["pipeline"] = stages(attempt, status)
    _acknowledge(status, seen, attempt)


def _acknowledge(status: dict[str, Any], seen: Observed, attempt: AttemptView) -> None:
    answer = attempt.status.get("checkpointRequest", {})
    wanted = seen.spec.checkpoint.request if seen.spec is not None else None
    if wanted is not None and answer.get("token") == wanted:
        status["checkpointRequest"] = dict(answer)


def _dashboard(seen: Observed) -> str:
    metadata = seen.job["metadata"]
    return f"http://{dashboard_name(metadata['name'])}.{metadata['namespace']}.svc:{DASHBOARD_PORT}"


def _conditions(seen: Observed, decision: Decision, feasible: Feasibility, running: bool) -> list[Condition]:
    course, reason, message = decision.course, decision.reason, decision.message
    over = course in _OVER or course in ("Suspended", "OwnedElsewhere")
    good = running or course in ("Complete", "Suspended")
    wanted = [
        condition(reasons.READY, good, reason, message),
        condition(reasons.FEASIBLE, feasible.ok, feasible.reason, feasible.message),
        condition(reasons.RUNNING, running, reasons.ENDED if over else reason, "" if over else message),
    ]
    if course in ("Suspended", "Suspending"):
        wanted.append(condition(reasons.SUSPENDED, course == "Suspended", *_suspended_words(decision)))
    elif get_condition(seen.job, reasons.SUSPENDED) is not None:
        wanted.append(condition(reasons.SUSPENDED, False, reasons.NOT_REQUESTED))
    if course in _OVER:
        wanted.append(condition(course, True, reason, message))
    if course == "OwnedElsewhere":
        wanted.append(condition(reasons.OWNED_ELSEWHERE, True, reason, message))
    elif course in ("Start", "Go", *_OVER) and get_condition(seen.job, reasons.OWNED_ELSEWHERE) is not None:
        wanted.append(condition(reasons.OWNED_ELSEWHERE, False, reasons.NOT_STARTED))
    return wanted


def _suspended_words(decision: Decision) -> tuple[str, str]:
    if decision.course == "Suspended":
        return reasons.REQUESTED, decision.message
    return reasons.SUSPENDING, "waiting for a checkpoint and the end of the pods"
