"""What is to be done for an attempt (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sojourn_operator.runtime.actions import Action, Apply, Create, Delete, Plan
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition, is_true, reason_of
from sojourn_operator.runtime.objects import is_being_deleted, uid_of
from sojourn_operator.trainingattempt import reasons
from sojourn_operator.trainingattempt.observe import Observed
from sojourn_operator.trainingattempt.status import end_phase_status, released_status, verdict_status
from sojourn_operator.trainingattempt.verdict import has_running_head, judge


def plan_attempt(seen: Observed) -> Plan | None:
    """The actions of one reconcile.

    None: what follows cannot be taken back, and a cache that is behind would mislead. Observe directly, plan again.
    """
    if is_being_deleted(seen.attempt):
        return Plan()  # the garbage collector takes the rest
    if is_true(seen.attempt, reasons.ENDED):
        return _wind_up(seen)
    verdict = judge(seen)
    if verdict.ending is not None:
        if not verdict.ending.sure:
            return None
        return Plan(verdict_status(seen, verdict))
    actions: list[Action] = [*verdict_status(seen, verdict), *_services(seen)]
    if verdict.make:
        actions.append(Create(seen.engine.workload(seen.attempt)))
    return Plan(actions, verdict.look_again)


def _services(seen: Observed) -> Sequence[Action]:
    services = seen.engine.services(seen.attempt)
    return [Apply(service) for service in services if service["metadata"]["name"] not in seen.services]


def _wind_up(seen: Observed) -> Plan | None:
    """Free what an ended attempt holds. Pods that ended by themselves stay for their logs."""
    reason = reason_of(seen.attempt, reasons.ENDED)
    if wrong := end_phase_status(seen):
        return Plan(wrong)
    ending = _end_workload(seen, reason) if seen.workload is not None else None
    if ending is not None:
        return ending
    if is_true(seen.attempt, reasons.RELEASED):
        return Plan()
    if not seen.running_pods and not seen.confirmed:
        return None
    return Plan(released_status(seen))


def _end_workload(seen: Observed, reason: str) -> Plan | None:
    """What is to be done about a workload, None for one that has ended and stays."""
    assert seen.workload is not None
    if reason in reasons.STOPPED:
        return Plan(_delete(seen))
    if seen.engine.observe(seen.workload).end is not None:
        return None
    if (left := _time_to_end(seen, reason)) > 0:
        return Plan((), left)
    end = seen.engine.end(seen.workload)
    return Plan([end] if end is not None else _delete(seen))


def _time_to_end(seen: Observed, reason: str) -> float:
    """Seconds that the pods of a successful attempt get to end by themselves."""
    ended = get_condition(seen.attempt, reasons.ENDED)
    if reason != reasons.SUCCEEDED or ended is None:
        return 0.0
    if seen.engine.replaces_ended_heads and not has_running_head(seen):
        return 0.0
    grace = timedelta(seconds=seen.attempt["spec"]["job"].get("terminationGracePeriodSeconds", 60))
    return (parse_rfc3339(ended["lastTransitionTime"]) + grace - seen.now).total_seconds()


def _delete(seen: Observed) -> Sequence[Action]:
    assert seen.workload is not None
    metadata = seen.workload["metadata"]
    if "deletionTimestamp" in metadata:
        return ()
    return (Delete(seen.engine.resource, metadata["namespace"], metadata["name"], uid_of(seen.workload)),)
