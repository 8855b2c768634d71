"""What is to be done for a Checkpoint: mostly nothing; on deletion, if asked for, its files go too (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sojourn.api import StoreReference
from sojourn_operator.checkpoint.status import with_availability
from sojourn_operator.engines.storage import run_store
from sojourn_operator.movers.names import CHECKPOINT_LABEL, labels
from sojourn_operator.movers.pod import Mover, mover_job
from sojourn_operator.movers.results import ended_for, job_end, last_words, result
from sojourn_operator.resources import CHECKPOINTS, JOBS
from sojourn_operator.runtime.actions import Action, Create, Delete, Plan, Tell
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition, is_false
from sojourn_operator.runtime.finalizers import add_finalizer, has_finalizer, remove_finalizer
from sojourn_operator.runtime.objects import Object, is_being_deleted, uid_of
from sojourn_operator.settings import Settings
from sojourn_operator.trainingjob.stores import Infeasible, resolve_store

FINALIZER: Final = "sojourn.dev/delete-checkpoint"
PATIENCE: Final = timedelta(minutes=10)
_RETRY_SECONDS: Final = 60.0
_JOB_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Observed:
    """A Checkpoint, the stores of its namespace by name, and the Job that deletes its files."""

    checkpoint: Object
    stores: dict[str, Object]
    job: Object | None
    pods: tuple[Object, ...]
    now: datetime


def plan_checkpoint(seen: Observed, settings: Settings) -> Plan:
    """The actions of one reconcile."""
    item = seen.checkpoint
    if is_being_deleted(item):
        return _let_go(seen, settings)
    actions: list[Action] = []
    wanted = item["spec"].get("deletionPolicy", "Retain") == "Delete"
    if wanted and not has_finalizer(item, FINALIZER):
        actions.append(add_finalizer(CHECKPOINTS, item, FINALIZER))
    if not wanted and has_finalizer(item, FINALIZER):
        actions.append(remove_finalizer(CHECKPOINTS, item, FINALIZER))
    if get_condition(item, "Available") is None:
        actions += with_availability(item, True, None, None, seen.now)
    return Plan(actions)


def job_name(item: Object) -> str:
    """Name of the Job that deletes its files; the object's own may be too long for one."""
    return f"retire-{hashlib.sha256(item['metadata']['name'].encode()).hexdigest()[:16]}"


def release(item: Object, *told: Tell) -> Plan:
    """Let the object go. Files that are still there stay: the run's own retention deletes them."""
    return Plan([*told, remove_finalizer(CHECKPOINTS, item, FINALIZER)])


def _let_go(seen: Observed, settings: Settings) -> Plan:
    item = seen.checkpoint
    if not has_finalizer(item, FINALIZER):
        return Plan()
    said = next((found for pod in seen.pods if (found := result(pod)) is not None), None)
    if is_false(item, "Available"):
        return release(item)
    if said is not None and said.get("done"):
        return release(item, Tell(item, "Normal", "Deleted", f"{said.get('bytes', 0):,} bytes were deleted"))
    if seen.now - parse_rfc3339(item["metadata"]["deletionTimestamp"]) > PATIENCE:
        return release(item, Tell(item, "Warning", "FilesKept", f"its files stay in the store: {_trouble(seen, said)}"))
    return _begin(seen, settings) if seen.job is None else _follow(seen, seen.job, said)


def _follow(seen: Observed, job: Object, said: Mapping[str, Any] | None) -> Plan:
    if job_end(job)[0] != "Failed" or is_being_deleted(job):
        return Plan((), _RETRY_SECONDS)
    metadata, reason = job["metadata"], str((said or {}).get("reason", "RetireFailed"))
    told = Tell(seen.checkpoint, "Warning", reason, _trouble(seen, said))
    # Made again a minute later: by then a reader may be done.
    if ended_for(job, seen.now).total_seconds() < _RETRY_SECONDS:
        return Plan([told], _RETRY_SECONDS)
    return Plan([Delete(JOBS, metadata["namespace"], metadata["name"], uid_of(job))], 1.0)


def _begin(seen: Observed, settings: Settings) -> Plan:
    item = seen.checkpoint
    spec = item["spec"]
    try:
        store = resolve_store(StoreReference.from_manifest(spec["storeRef"]), seen.stores)
    except Infeasible as problem:
        return Plan([Tell(item, "Warning", problem.reason, problem.message)], _RETRY_SECONDS)
    mover = Mover(
        verb="retire",
        attached=run_store(store),
        env={"SOJOURN_RUN": spec["run"]["prefix"], "SOJOURN_CHECKPOINT": spec["key"]},
        job={"backoffLimit": 2, "activeDeadlineSeconds": _JOB_SECONDS},
    )
    made = mover_job(job_name(item), item, labels(CHECKPOINT_LABEL, item), mover, settings)
    return Plan([Create(made)], _RETRY_SECONDS)


def _trouble(seen: Observed, said: Any) -> str:
    if said:
        return f"{said.get('message', '')} {said.get('hint', '')}".strip()
    words = next((last_words(pod) for pod in seen.pods if last_words(pod)), "")
    return words or (job_end(seen.job)[1] if seen.job else "") or "the store was not ready in time"
