"""What is to be done for a job (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sojourn.api import TrainingJobSpec
from sojourn_operator.engines.access import token_secret
from sojourn_operator.resources import TRAINING_ATTEMPTS, TRAINING_JOBS
from sojourn_operator.runtime.actions import Action, Create, Delete, Patch, Plan, SetStatus
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import is_true
from sojourn_operator.runtime.finalizers import add_finalizer, has_finalizer, remove_finalizer
from sojourn_operator.runtime.objects import is_being_deleted, uid_of
from sojourn_operator.trainingjob import reasons
from sojourn_operator.trainingjob.attempts import AttemptView
from sojourn_operator.trainingjob.checks import Json
from sojourn_operator.trainingjob.children import new_attempt, repairs, run_id
from sojourn_operator.trainingjob.decide import Decision, decide
from sojourn_operator.trainingjob.events import transitions
from sojourn_operator.trainingjob.feasible import check_feasible
from sojourn_operator.trainingjob.frozen import ImageDefaults
from sojourn_operator.trainingjob.observe import Observed
from sojourn_operator.trainingjob.status import SLOW, job_status, refused_status

FINALIZER: Final = "sojourn.dev/commit-before-delete"
MANAGER: Final = "sojourn.dev/operator"
_KEPT_ATTEMPTS: Final = 5
_DELETION_MARGIN: Final = timedelta(seconds=30)
_DEFAULT_GRACE: Final = 60
_CREATION_CHECK: Final = 10.0
_CHECK_AGAIN: Final = 30.0


def plan_job(seen: Observed, defaults: ImageDefaults, token: str, checked: Sequence[Json] | None = None) -> Plan:
    """The actions of one reconcile.

    Args:
        token: a fresh secret, used if the job has none yet.
        checked: what the pods would find, None where nobody looks it up.
    """
    job, spec = seen.job, seen.spec
    if job["spec"].get("managedBy", MANAGER) != MANAGER:
        return Plan()
    if is_being_deleted(job):
        return _let_go(seen)
    if is_true(job, reasons.COMPLETE) or is_true(job, reasons.FAILED):
        return _finished(seen)
    if spec is None:
        return Plan([SetStatus(TRAINING_JOBS, job, refused_status(seen))])
    held: list[Action] = []
    if not has_finalizer(job, FINALIZER):
        held.append(add_finalizer(TRAINING_JOBS, job, FINALIZER))
    feasible = check_feasible(spec, seen.stores, seen.holder)
    decision = decide(seen, spec, feasible)
    status = job_status(seen, decision, feasible)
    status["checks"] = list(checked) if checked else None
    actions = [*held, SetStatus(TRAINING_JOBS, job, status, SLOW), *transitions(job, status, decision)]
    look_again = decision.look_again
    if any(check["result"] == "Failed" for check in checked or ()):
        look_again = min(look_again or _CHECK_AGAIN, _CHECK_AGAIN)
    if decision.course == "Start":
        actions.append(Create(token_secret(job, token)))
        actions += repairs(seen, spec, status["attempt"])
        actions.append(Create(new_attempt(seen, decision, feasible, defaults)))
        # An earlier job's attempt of that name may have been in the way.
        look_again = _CREATION_CHECK
    elif decision.attempt is not None and not decision.attempt.ended:
        actions += repairs(seen, spec, decision.attempt.name)
        actions += _requests(seen, spec, decision)
    return Plan([*actions, *_forget_old(seen)], look_again)


def _requests(seen: Observed, spec: TrainingJobSpec, decision: Decision) -> list[Action]:
    """What the attempt is asked to do."""
    attempt = decision.attempt
    assert attempt is not None
    actions: list[Action] = []
    if decision.stop is not None:
        actions.append(_ask_to_stop(seen, attempt, decision.stop))
    if attempt.object["spec"].get("standby") and not spec.standby:
        actions.append(_patch(attempt, {"standby": False, **({"runId": run} if (run := run_id(seen.job)) else {})}))
    request = spec.checkpoint.request
    answered = seen.status.get("checkpointRequest", {}).get("token")
    if request not in (None, answered, attempt.object["spec"].get("checkpointRequest")):
        actions.append(_patch(attempt, {"checkpointRequest": request}))
    return actions


def _ask_to_stop(seen: Observed, attempt: AttemptView, reason: str) -> Action:
    token = f"{reason.lower()}-{seen.job['metadata'].get('generation', 0)}"
    return _patch(attempt, {"stop": {"token": token, "reason": reason}})


def _patch(attempt: AttemptView, spec: dict[str, object]) -> Action:
    metadata = attempt.object["metadata"]
    return Patch(TRAINING_ATTEMPTS, metadata["namespace"], metadata["name"], {"spec": spec})


def _let_go(seen: Observed) -> Plan:
    """Let a job that is being deleted commit what it has done, but not for ever."""
    job = seen.job
    if not has_finalizer(job, FINALIZER):
        return Plan()
    release = Plan([remove_finalizer(TRAINING_JOBS, job, FINALIZER)])
    going = [view for view in map(AttemptView, seen.attempts) if not view.ended and not view.deleting]
    if not going:
        return release
    grace = job["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE)
    deadline = parse_rfc3339(job["metadata"]["deletionTimestamp"]) + timedelta(seconds=grace) + _DELETION_MARGIN
    left = (deadline - seen.now).total_seconds()
    if left <= 0:
        return release
    return Plan([_ask_to_stop(seen, view, "Delete") for view in going if view.stop is None], left)


def _finished(seen: Observed) -> Plan:
    ttl, end = seen.job["spec"].get("ttlSecondsAfterFinished"), seen.status.get("completionTime")
    actions: list[Action] = []
    if has_finalizer(seen.job, FINALIZER):
        actions.append(remove_finalizer(TRAINING_JOBS, seen.job, FINALIZER))
    if ttl is None or end is None:
        return Plan([*actions, *_forget_old(seen)])
    left = (parse_rfc3339(end) + timedelta(seconds=ttl) - seen.now).total_seconds()
    if left > 0:
        return Plan([*actions, *_forget_old(seen)], left)
    metadata = seen.job["metadata"]
    return Plan([*actions, Delete(TRAINING_JOBS, metadata["namespace"], metadata["name"], uid_of(seen.job))])


def _forget_old(seen: Observed) -> list[Action]:
    """Attempts before the last few; their workloads and the logs of their pods go with them."""
    old = [view for view in map(AttemptView, seen.attempts[:-_KEPT_ATTEMPTS]) if view.released and not view.deleting]
    return [
        Delete(TRAINING_ATTEMPTS, view.object["metadata"]["namespace"], view.name, uid_of(view.object)) for view in old
    ]
