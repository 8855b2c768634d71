"""What an attempt has come to, judged from what is there (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sojourn_operator.engines.base import Workload
from sojourn_operator.engines.podview import PodView
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition, is_false
from sojourn_operator.trainingattempt import reasons
from sojourn_operator.trainingattempt.observe import Observed

_BOUND = ("Starting", "Standby", "Running", "Stopping", "Succeeded", "Failed", "Lost")
_INSTALL_CHECK = 30.0
_SILENCE = timedelta(seconds=120)
_TOLD_TO_STOP = 143
_COMPLETE = "training is complete"
_READY = {
    "Standby": (False, reasons.STANDBY, "everything is ready to train, and waits for the run"),
    "Running": (True, reasons.TRAINING, ""),
}
_BEGINS = (False, reasons.STANDBY, "the run is there, and the workers begin to train it")
_STARTED = ("Standby", "Running", "Stopping", "Succeeded", "Failed", "Lost")


@dataclass(frozen=True, slots=True)
class Ending:
    """The attempt is over.

    Args:
        exit_code: of the head's container, where it ended without a report.
        sure: nothing that a cache may have missed could change it.
    """

    reason: str
    message: str
    exit_code: int | None = None
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt stands.

    Args:
        ending: set when it is over.
        make: its workload is to be made.
        phase: what status.phase becomes, "" to leave it.
        ready: status, reason and message of Ready.
        look_again: seconds after which a deadline passes.
    """

    ending: Ending | None = None
    make: bool = False
    phase: str = ""
    ready: tuple[bool, str, str] = (False, reasons.CREATED, "")
    look_again: float | None = None


def judge(seen: Observed) -> Verdict:
    """How an attempt stands that has not ended."""
    if seen.workload is None:
        return _without_workload(seen)
    workload = seen.engine.observe(seen.workload)
    ending = (
        _ended_workload(seen, workload)
        or _reported_success(seen)
        or _answered_stop(seen)
        or _needless_stop(seen)
        or (None if workload.suspended else _lost_head(seen))
    )
    if ending is not None:
        return Verdict(ending)
    if workload.suspended:
        return _held_back(seen)
    return _going(seen, workload)


def _without_workload(seen: Observed) -> Verdict:
    if _stop(seen) is not None:
        return Verdict(Ending(reasons.SUSPENDED, "there were no pods to stop", sure=seen.confirmed))
    if _is_bound(seen):
        message = f"its {seen.engine.resource.kind} was deleted"
        return Verdict(Ending(reasons.DISRUPTED, message, sure=seen.confirmed))
    if seen.foreign:
        message = f"a {seen.engine.resource.kind} of this name belongs to something else, and is waited for"
        return Verdict(ready=(False, reasons.NAME_TAKEN, message), look_again=5.0)
    if seen.running_pods:
        return Verdict(ready=(False, reasons.PODS_STARTING, f"waiting for {_names(seen.running_pods)} to end"))
    if not seen.installed:
        message = f"this cluster has no kind {seen.engine.resource.kind}, or the operator may not use it: install "
        message += seen.engine.needs
        return Verdict(ready=(False, reasons.ENGINE_NOT_INSTALLED, message), look_again=_INSTALL_CHECK)
    return Verdict(make=True, ready=(False, reasons.CREATED, f"its {seen.engine.resource.kind} is being made"))


def _ended_workload(seen: Observed, workload: Workload) -> Ending | None:
    if workload.end is None:
        return None
    if workload.end == "Failed":
        head = _bound_head(seen)
        return _failure(seen, head, workload.message or f"the {seen.engine.resource.kind} failed")
    outcome = seen.status.get("outcome", {})
    if _stop_is_answered(seen) or seen.status.get("phase") == "Suspended":
        return _suspended(seen)
    if outcome.get("exitCode") == 0 or seen.status.get("phase") == "Succeeded" or _stop(seen) is None:
        return Ending(reasons.SUCCEEDED, outcome.get("message", "") or _COMPLETE)
    return _suspended(seen)


def _reported_success(seen: Observed) -> Ending | None:
    """The head says that everything is committed and exported; its pod ends in a moment."""
    outcome = seen.status.get("outcome", {})
    if seen.status.get("phase") != "Succeeded" or outcome.get("exitCode") != 0:
        return None
    return Ending(reasons.SUCCEEDED, outcome.get("message", "") or _COMPLETE)


def _answered_stop(seen: Observed) -> Ending | None:
    return _suspended(seen) if _stop_is_answered(seen) else None


def _needless_stop(seen: Observed) -> Ending | None:
    """A stop that nobody can answer: nothing runs that could commit, or the time for it has passed."""
    if _stop(seen) is None:
        return None
    if seen.status.get("phase") in (None, "Pending", "Standby", "Suspended"):
        return _suspended(seen)
    condition = get_condition(seen.attempt, reasons.STOPPING)
    if condition is not None and seen.now >= _stop_deadline(seen, condition):
        message = "no checkpoint was committed within terminationGracePeriodSeconds; steps since the last are lost"
        return Ending(reasons.STOP_DEADLINE_EXCEEDED, message)
    return None


def _lost_head(seen: Observed) -> Ending | None:
    heads = seen.engine.heads(seen.pods)
    if not _is_bound(seen):
        reported = seen.status.get("head", {}).get("uid")
        crashed = [pod for pod in heads if _has_failed(pod) and pod.uid != reported]
        return _failure(seen, crashed[-1], "its head did not start") if crashed else None
    head = _bound_head(seen)
    if head is None:
        return Ending(reasons.DISRUPTED, "its head's pod is gone", sure=seen.confirmed)
    if head.phase == "Failed":
        return _failure(seen, head, f"its head {head.name} has ended")
    return None


def _failure(seen: Observed, head: PodView | None, what: str) -> Ending:
    outcome = seen.status.get("outcome", {})
    if outcome.get("exitCode"):
        return Ending(reasons.FAILED, outcome.get("message", "") or what, sure=seen.confirmed)
    if head is None:
        return Ending(reasons.LOST, what, sure=seen.confirmed)
    if head.disrupted or head.deleting:
        return Ending(reasons.DISRUPTED, f"{what}: the cluster took its pod away", sure=seen.confirmed)
    code = f"exit code {head.exit_code}" if head.exit_code is not None else head.termination_reason or "unknown cause"
    detail = f" ({head.termination_reason})" if head.termination_reason not in ("", "Error") else ""
    words = f": {head.last_words}" if head.last_words else ""
    return Ending(reasons.LOST, f"{what}, {code}{detail}{words}"[:4000], head.exit_code, seen.confirmed)


def _held_back(seen: Observed) -> Verdict:
    phase = seen.status.get("phase")
    if seen.running_pods:
        ready = (False, reasons.EVICTED, f"waiting for {_names(seen.running_pods)} to stop")
        return Verdict(ready=ready, look_again=_stop_wait(seen))
    if phase in (None, "Pending") and not seen.status.get("head"):
        return Verdict(ready=(False, reasons.QUEUED, f"the {seen.engine.resource.kind} waits to be admitted"))
    ready = (False, reasons.EVICTED, f"the {seen.engine.resource.kind} was suspended and waits to be admitted again")
    # Without this the next head would take itself for the replacement of one that still counts.
    return Verdict(phase="" if phase in ("Pending", "Suspended") else "Pending", ready=ready)


def _going(seen: Observed, workload: Workload) -> Verdict:
    phase = seen.status.get("phase")
    begins = phase == "Standby" and not seen.attempt["spec"].get("standby")
    if phase in _STARTED and not begins:
        return _started(seen, phase)
    ready = _BEGINS if begins else _why_not_started(seen)
    left = _startup_left(seen, workload)
    if left is not None and left <= 0:
        message = f"not all workers have started within startupDeadlineSeconds: {ready[2] or ready[1]}"
        return Verdict(Ending(reasons.STARTUP_DEADLINE_EXCEEDED, message, sure=seen.confirmed))
    waits = [wait for wait in (left, _stop_wait(seen)) if wait is not None]
    return Verdict(phase="" if phase else "Pending", ready=ready, look_again=min(waits, default=None))


def _started(seen: Observed, phase: str) -> Verdict:
    ready = _READY.get(phase, (False, reasons.STOPPING_REASON, ""))
    heartbeat = seen.status.get("heartbeatTime")
    if heartbeat is None:
        return Verdict(ready=ready, look_again=_stop_wait(seen))
    # A pod on a node that nobody reaches goes on to count as running.
    silent = (parse_rfc3339(heartbeat) + _SILENCE - seen.now).total_seconds()
    if silent <= 0:
        message = f"the head has not reported since {heartbeat}; is its node reachable?"
        return Verdict(ready=(False, reasons.HEAD_SILENT, message), look_again=_stop_wait(seen))
    waits = [wait for wait in (silent, _stop_wait(seen)) if wait is not None]
    return Verdict(ready=ready, look_again=min(waits))


def _why_not_started(seen: Observed) -> tuple[bool, str, str]:
    for pod in seen.running_pods:
        reason, message = pod.waiting
        if reason:
            kind = reasons.POD_BLOCKED
            if reason in ("Unschedulable", "SchedulingGated"):
                kind = reasons.UNSCHEDULABLE
            elif "Image" in reason:
                kind = reasons.IMAGE_PULL_FAILED
            return False, kind, f"{pod.name}: {message or reason}"
    if seen.status.get("phase") == "Starting":
        return False, reasons.STARTING, "the workers are starting"
    return False, reasons.PODS_STARTING, "the pods are starting"


def _startup_left(seen: Observed, workload: Workload) -> float | None:
    if workload.started is None:
        return None
    since = workload.started
    if is_false(seen.attempt, reasons.READY):
        condition: Mapping[str, Any] = get_condition(seen.attempt, reasons.READY) or {}
        since = max(since, parse_rfc3339(condition["lastTransitionTime"]))
    elif get_condition(seen.attempt, reasons.READY) is not None:
        since = seen.now  # it was ready until now: a pod was replaced, and starts anew
    if seen.attempt["spec"].get("standby") is not None:  # what it waited for in standby was not its own to start
        ended = (
            get_condition(seen.attempt, reasons.STANDING_BY) if is_false(seen.attempt, reasons.STANDING_BY) else None
        )
        since = max(since, parse_rfc3339(ended["lastTransitionTime"])) if ended is not None else seen.now
    limit = seen.attempt["spec"]["job"].get("startupDeadlineSeconds", 600)
    return (since + timedelta(seconds=limit) - seen.now).total_seconds()


def _stop(seen: Observed) -> Mapping[str, Any] | None:
    stop: Mapping[str, Any] | None = seen.attempt["spec"].get("stop")
    return stop


def _stop_is_answered(seen: Observed) -> bool:
    stop = _stop(seen)
    return stop is not None and seen.status.get("stopped", {}).get("token") == stop["token"]


def _stop_deadline(seen: Observed, condition: Mapping[str, Any]) -> datetime:
    grace = seen.attempt["spec"]["job"].get("terminationGracePeriodSeconds", 60)
    return parse_rfc3339(condition["lastTransitionTime"]) + timedelta(seconds=grace)


def _stop_wait(seen: Observed) -> float | None:
    condition = get_condition(seen.attempt, reasons.STOPPING)
    if _stop(seen) is None or condition is None:
        return None
    return max(0.1, (_stop_deadline(seen, condition) - seen.now).total_seconds())


def _suspended(seen: Observed) -> Ending:
    step = seen.status.get("stopped", {}).get("step", seen.status.get("lastCommit", {}).get("step"))
    message = f"stopped; step {step} is committed" if step is not None else "stopped before anything was committed"
    return Ending(reasons.SUSPENDED, message)


def _is_bound(seen: Observed) -> bool:
    """Whether one certain pod drives the attempt, so that no other may."""
    return seen.status.get("phase") in _BOUND and bool(seen.status.get("head", {}).get("uid"))


def _bound_head(seen: Observed) -> PodView | None:
    uid = seen.status.get("head", {}).get("uid")
    return next((pod for pod in seen.pods if pod.uid == uid), None)


def has_running_head(seen: Observed) -> bool:
    """Whether the pod that drives the attempt still runs."""
    head = _bound_head(seen)
    return head is not None and not head.ended


def _has_failed(pod: PodView) -> bool:
    told = pod.disrupted or pod.deleting or pod.exit_code == _TOLD_TO_STOP
    return pod.phase == "Failed" and not told


def _names(pods: tuple[PodView, ...]) -> str:
    return ", ".join(sorted(pod.name for pod in pods)[:5])
