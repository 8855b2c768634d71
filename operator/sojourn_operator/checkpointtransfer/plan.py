"""What is to be done for a transfer (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sojourn.api import StoreReference
from sojourn_operator.checkpointtransfer import reasons
from sojourn_operator.checkpointtransfer.children import job, others
from sojourn_operator.checkpointtransfer.observe import Observed
from sojourn_operator.checkpointtransfer.status import failed, going, refused, succeeded
from sojourn_operator.movers.results import Trouble, ended_for, is_over, job_end, last_words
from sojourn_operator.resources import CHECKPOINT_TRANSFERS, JOBS, SERVICES
from sojourn_operator.runtime.actions import Action, Apply, Create, Delete, Plan
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import is_true
from sojourn_operator.runtime.finalizers import add_finalizer, has_finalizer, remove_finalizer
from sojourn_operator.runtime.objects import Object, is_being_deleted, uid_of
from sojourn_operator.settings import Settings
from sojourn_operator.trainingjob.children import covers
from sojourn_operator.trainingjob.stores import Infeasible, resolve_store

FINALIZER: Final = "sojourn.dev/clean-up-transfer"
CLEAN_UP_TIME: Final = timedelta(seconds=60)
_REPORT_TIME: Final = timedelta(seconds=30)
_LOOK_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 30.0


def plan_transfer(seen: Observed, settings: Settings) -> Plan:
    """The actions of one reconcile."""
    transfer, status = seen.transfer, seen.status
    if is_being_deleted(transfer):
        return _let_go(seen)
    if is_true(transfer, reasons.COMPLETE) or is_true(transfer, reasons.FAILED):
        return Plan(_close(seen))
    if status.get("phase") == "Succeeded":
        return Plan([*succeeded(seen), *_close(seen)])
    if status.get("phase") == "Failed":
        hint = f" {status['hint']}" if status.get("hint") else ""
        trouble = Trouble(status.get("reason", reasons.MOVER_FAILED), f"{status.get('message', '')}{hint}")
        return Plan([*failed(seen, trouble), *_close(seen)])
    held: list[Action] = []
    if not has_finalizer(transfer, FINALIZER):
        held.append(add_finalizer(CHECKPOINT_TRANSFERS, transfer, FINALIZER))
    return _run(seen, settings, held)


def _run(seen: Observed, settings: Settings, held: list[Action]) -> Plan:
    repairs = [Apply(wanted) for wanted in others(seen) if not covers(seen.children.get(wanted["kind"]), wanted)]
    if seen.job is None:
        try:
            made = Create(_job(seen, settings))
        except Infeasible as problem:
            return Plan([*held, *refused(seen, Trouble(problem.reason, problem.message))], _RETRY_SECONDS)
        return Plan([*held, *repairs, made, *going(seen)], _LOOK_SECONDS)
    end, why = job_end(seen.job)
    if end == "Failed":
        words = next((last_words(pod) for pod in seen.pods if is_over(pod) and last_words(pod)), "")
        return Plan([*held, *failed(seen, Trouble(reasons.MOVER_FAILED, f"{why} {words}".strip())), *_close(seen)])
    if end:
        # It ended well, and its report is late or lost: another one finds everything done, and reports it.
        late = ended_for(seen.job, seen.now) >= _REPORT_TIME
        return Plan([*held, *(_delete(seen.job) if late else ())], _LOOK_SECONDS)
    return Plan([*held, *repairs, *going(seen)])


def _job(seen: Observed, settings: Settings) -> Object:
    end = seen.spec["source" if seen.spec["role"] == "Send" else "target"]
    relay = seen.spec.get("relay")
    return job(seen, _resolve(seen, end["storeRef"]), _resolve(seen, relay["storeRef"]) if relay else None, settings)


def _resolve(seen: Observed, reference: Mapping[str, Any]) -> Mapping[str, Any]:
    return resolve_store(StoreReference.from_manifest(reference), seen.stores)


def _close(seen: Observed) -> list[Action]:
    """A transfer that is over is reached by nobody; its pod stays for its log."""
    service = seen.children.get("Service")
    if service is None or is_being_deleted(service):
        return []
    metadata = service["metadata"]
    return [Delete(SERVICES, metadata["namespace"], metadata["name"], uid_of(service))]


def _let_go(seen: Observed) -> Plan:
    """Give the mover some time to hold nothing any more and to remove what is incomplete."""
    if not has_finalizer(seen.transfer, FINALIZER):
        return Plan()
    since = parse_rfc3339(seen.transfer["metadata"]["deletionTimestamp"])
    over = seen.status.get("phase") in ("Succeeded", "Failed")
    working = not over and seen.job is not None and not job_end(seen.job)[0] and not is_being_deleted(seen.job)
    if working and seen.now - since < CLEAN_UP_TIME:
        return Plan((), _LOOK_SECONDS)
    gone = _delete(seen.job) if seen.job else []
    return Plan([*gone, remove_finalizer(CHECKPOINT_TRANSFERS, seen.transfer, FINALIZER)])


def _delete(made: Object) -> list[Action]:
    if is_being_deleted(made):
        return []
    return [Delete(JOBS, made["metadata"]["namespace"], made["metadata"]["name"], uid_of(made))]
