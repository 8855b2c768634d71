"""What the operator writes into an attempt's status: conditions, and what its pods can no longer say (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sojourn_operator.resources import TRAINING_ATTEMPTS
from sojourn_operator.runtime.actions import Action, PatchStatus, Plan
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.conditions import Condition, condition, get_condition, reason_of, with_conditions
from sojourn_operator.trainingattempt import reasons
from sojourn_operator.trainingattempt.observe import Observed
from sojourn_operator.trainingattempt.verdict import Ending, Verdict


def verdict_status(seen: Observed, verdict: Verdict) -> Sequence[Action]:
    """The status of an attempt that goes on, or ends now."""
    if verdict.ending is not None:
        return _write(seen, _end_conditions(verdict.ending), _end_fields(seen, verdict.ending))
    status, reason, message = verdict.ready
    wanted = [condition(reasons.READY, status, reason, message)]
    standby = seen.attempt["spec"].get("standby")
    if standby is not None:
        stands = standby and (verdict.phase or seen.status.get("phase")) == "Standby"
        why = reasons.STANDBY if stands else reasons.GETTING_READY if standby else reasons.BEGUN
        wanted.append(condition(reasons.STANDING_BY, stands, why))
    stop = seen.attempt["spec"].get("stop")
    if stop is not None and get_condition(seen.attempt, reasons.STOPPING) is None:
        wanted.append(condition(reasons.STOPPING, True, stop["reason"], "the pods were asked to commit and stop"))
    return _write(seen, wanted, {"phase": verdict.phase} if verdict.phase else {})


def end_in(plan: Plan) -> str:
    """Reason of Ended in what a plan writes, "" if it writes none."""
    for action in plan.actions:
        if isinstance(action, PatchStatus):
            return reason_of({"status": action.status}, reasons.ENDED)
    return ""


def released_status(seen: Observed) -> Sequence[Action]:
    """Whether pods of an ended attempt still run."""
    if seen.running_pods:
        names = ", ".join(sorted(pod.name for pod in seen.running_pods)[:5])
        return _write(seen, [condition(reasons.RELEASED, False, reasons.PODS_ENDING, f"waiting for {names}")], {})
    return _write(seen, [condition(reasons.RELEASED, True, reasons.PODS_GONE, "no pod of it runs any more")], {})


def end_phase_status(seen: Observed) -> Sequence[Action]:
    """Puts the phase of an ended attempt right, where a pod that nobody can reach went on to report."""
    reason = reason_of(seen.attempt, reasons.ENDED)
    return _write(seen, [], {"phase": reasons.PHASES[reason]})


def _end_conditions(ending: Ending) -> list[Condition]:
    succeeded = ending.reason == reasons.SUCCEEDED
    failed = not succeeded and ending.reason not in reasons.STOPPED
    wanted = [
        condition(reasons.READY, False, ending.reason, ending.message),
        condition(reasons.ENDED, True, ending.reason, ending.message),
    ]
    if succeeded:
        wanted.append(condition("Complete", True, ending.reason, ending.message))
    if failed:
        wanted.append(condition("Failed", True, ending.reason, ending.message))
    return wanted


def _end_fields(seen: Observed, ending: Ending) -> dict[str, Any]:
    fields: dict[str, Any] = {"phase": reasons.PHASES[ending.reason]}
    if "completionTime" not in seen.status:
        fields["completionTime"] = rfc3339(seen.now)
    if ending.exit_code is not None and "outcome" not in seen.status:
        fields["outcome"] = {"exitCode": ending.exit_code, "reason": ending.reason, "message": ending.message}
    return fields


def _write(seen: Observed, wanted: Iterable[Condition], fields: dict[str, Any]) -> Sequence[Action]:
    """A patch of what differs. The pods patch the same object, so it holds only if nobody has written since."""
    metadata = seen.attempt["metadata"]
    before = seen.status.get("conditions", [])
    after = with_conditions(before, wanted, metadata.get("generation", 0), seen.now)
    patch = {name: value for name, value in fields.items() if seen.status.get(name) != value}
    if after != before:
        patch["conditions"] = after
    if not patch:
        return ()
    place = (TRAINING_ATTEMPTS, metadata["namespace"], metadata["name"])
    return (PatchStatus(*place, patch, metadata["resourceVersion"]),)
