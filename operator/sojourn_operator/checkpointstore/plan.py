"""When a store is tried, and what is made of the outcome (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sojourn_operator.checkpointstore.observe import Observed
from sojourn_operator.checkpointstore.status import Finding, found, set_ready
from sojourn_operator.engines.storage import claim_of, run_store
from sojourn_operator.movers.names import STORE_LABEL, labels
from sojourn_operator.movers.pod import Mover, mover_job
from sojourn_operator.movers.results import is_over, job_end, last_words, result, why_waiting
from sojourn_operator.resources import JOBS
from sojourn_operator.runtime.actions import Action, Create, Delete, Plan
from sojourn_operator.runtime.conditions import get_condition, is_true
from sojourn_operator.runtime.objects import Object, is_being_deleted, uid_of
from sojourn_operator.settings import Settings

PROBE_SECONDS: Final = 300
AGAIN_SECONDS: Final = 600.0
RETRY_SECONDS: Final = 60.0
_GENERATION: Final = "sojourn.dev/generation"


def plan_store(seen: Observed, settings: Settings) -> Plan:
    """Try the store if it is time, or say what the trial found."""
    if is_being_deleted(seen.store):
        return Plan()
    if finding := _hopeless(seen):
        return Plan([*_delete(seen.jobs), *set_ready(seen, finding)], RETRY_SECONDS)
    current = [job for job in seen.jobs if _generation(job) == str(seen.generation) and not is_being_deleted(job)]
    outdated = _delete(job for job in seen.jobs if job not in current)
    if current:
        return _follow(seen, current[0], outdated)
    wait = _wait(seen)
    if wait is None:
        return Plan(outdated)
    if wait > 0:
        return Plan(outdated, wait)
    return Plan([*outdated, Create(probe_job(seen, settings)), *_first(seen, "Probing", "a pod tries the store")])


def probe_job(seen: Observed, settings: Settings) -> Object:
    """The Job that tries the store; its name follows from what it is to find out, so it is made once."""
    last = int(seen.probed.timestamp()) if seen.probed else 0
    name = f"{seen.store['metadata']['name']}-probe-{seen.generation}-{last:x}"
    mover = Mover(
        verb="probe",
        attached=run_store(seen.spec),
        job={"backoffLimit": 2, "activeDeadlineSeconds": PROBE_SECONDS},
    )
    job = mover_job(name, seen.store, labels(STORE_LABEL, seen.store), mover, settings)
    metadata = {**job["metadata"], "annotations": {_GENERATION: str(seen.generation)}}
    return {**job, "metadata": metadata}


def _hopeless(seen: Observed) -> Finding | None:
    """What needs no pod to be known."""
    if str(seen.spec.get("uri", "")).startswith("file:"):
        return Finding(
            "LocalStore",
            f"{seen.spec['uri']} is a folder of one machine, which pods cannot see; use a PersistentVolumeClaim or an "
            "object store",
        )
    claim, _ = claim_of(seen.spec)
    if claim and seen.claim is None:
        return Finding("ClaimNotFound", f"there is no PersistentVolumeClaim {claim} in this namespace; create it")
    return None


def _follow(seen: Observed, job: Object, outdated: list[Action]) -> Plan:
    """A probe of this spec is there."""
    pods = seen.pods[job["metadata"]["name"]]
    for pod in pods:
        said = result(pod) if is_over(pod) else None
        if said is not None:
            return Plan([*outdated, *found(seen, said), *_delete([job])], RETRY_SECONDS)
    end, why = job_end(job)
    if end:
        words = next((last_words(pod) for pod in pods if last_words(pod)), why)
        trouble = next(filter(None, map(why_waiting, pods)), None)
        message = f"{trouble.reason}: {trouble.message}" if trouble else words
        actions = found(seen, {"ready": False, "reason": "ProbeFailed", "message": f"the probe did not run: {message}"})
        return Plan([*outdated, *actions, *_delete([job])], RETRY_SECONDS)
    for pod in pods:
        if trouble := why_waiting(pod):
            return Plan([*outdated, *_first(seen, "Probing", f"{trouble.reason}: {trouble.message}")])
    return Plan([*outdated, *_first(seen, "Probing", "a pod tries the store")])


def _first(seen: Observed, reason: str, message: str) -> list[Action]:
    """Say that it is being tried, while nothing better is known of this spec."""
    ready = get_condition(seen.store, "Ready")
    if ready is not None and ready["status"] != "Unknown" and ready.get("observedGeneration") == seen.generation:
        return []
    return set_ready(seen, Finding(reason, message, status="Unknown"))


def _wait(seen: Observed) -> float | None:
    """Seconds until it is to be tried again; None for never."""
    if seen.probed is None:
        return 0.0
    if is_true(seen.store, "Ready"):
        if seen.single_node:
            return None
        pause = AGAIN_SECONDS
    else:
        pause = RETRY_SECONDS
    return max(0.0, pause - (seen.now - seen.probed).total_seconds())


def _generation(job: Object) -> str:
    annotations: Mapping[str, Any] = job["metadata"].get("annotations", {})
    return str(annotations.get(_GENERATION, ""))


def _delete(jobs: Any) -> list[Action]:
    return [
        Delete(JOBS, job["metadata"]["namespace"], job["metadata"]["name"], uid_of(job))
        for job in jobs
        if not is_being_deleted(job)
    ]
