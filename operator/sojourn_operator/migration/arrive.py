"""The run is at the target: train, serve, or let it rest there (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sojourn_operator.engines.names import RUN_ID
from sojourn_operator.migration import desired, names
from sojourn_operator.migration.observe import Seen, target_name
from sojourn_operator.migration.step import LOOK_AGAIN, Step, patch_spec, remembered, stage_names, status_of
from sojourn_operator.resources import TRAINING_JOBS
from sojourn_operator.runtime.actions import Action, Create
from sojourn_operator.runtime.conditions import get_condition, is_true
from sojourn_operator.runtime.objects import Object


def go_on(seen: Seen, begun: Mapping[str, Any], facts: Mapping[str, Any]) -> Step:
    """The next step at the target, or the end."""
    facts = {**facts, "began": dict(begun)}
    if seen.target.problem is not None:
        problem = seen.target.problem
        return Step(_stage(seen), problem.reason, problem.message, look_again=LOOK_AGAIN, facts=facts)
    if "resume" in seen.spec:
        step = _resume(seen, begun, facts)
        if step is not None:
            return step
        facts = {**facts, "resumed": True}
    if "serve" in seen.spec:
        step = _serve(seen, facts)
        if step is not None:
            return step
    return Step(stage_names(seen)[-1], "Arrived", "the run has arrived", outcome="Complete", facts=facts)


def _resume(seen: Seen, begun: Mapping[str, Any], facts: Mapping[str, Any]) -> Step | None:
    """None once the job at the target has trained on."""
    if remembered(seen, "resumed"):
        return None
    job = seen.target.job
    if job is None:
        wanted = desired.job(seen)
        again = (Create(wanted),) if wanted is not None else ()
        message = f"TrainingJob {target_name(seen)} is made again"
        return Step("Resume", "JobLost", message, target=again, facts=facts, look_again=LOOK_AGAIN)
    status = status_of(job)
    # A job that is used again still tells of its earlier stay until it has opened the new run.
    in_run = status.get("runId") == begun.get("runId")
    if in_run and is_true(job, "Failed"):
        why = (get_condition(job, "Failed") or {}).get("message", "")
        return Step("Resume", "TargetFailed", f"the job failed at the target: {why}", outcome="Failed", facts=facts)
    if in_run and (is_true(job, "Complete") or status.get("step", -1) > begun.get("step", 0)):
        return None
    running: Mapping[str, Any] = get_condition(job, "Running") or {}
    message = running.get("message") or f"the job is {status.get('phase', 'Pending')}"
    return Step("Resume", running.get("reason", "Starting"), message, target=_release(seen, job, begun), facts=facts)


def _release(seen: Seen, job: Object, begun: Mapping[str, Any]) -> tuple[Action, ...]:
    marked = names.SUSPENDED_BY in job["metadata"].get("annotations", {})
    if job["spec"].get("standby") and not job["spec"].get("suspend"):
        # Its pods are ready: they only have to be told which run it is.
        given = {RUN_ID: begun.get("runId")}
        return (patch_spec(TRAINING_JOBS, job, {"standby": False}, annotations=given),)
    if not job["spec"].get("suspend"):
        # A job that the log has refused asks it again only when its spec has changed.
        return (patch_spec(TRAINING_JOBS, job, {"suspend": True}),) if _is_refused(job) else ()
    changes = {} if names.is_made_by(job, seen.migration) else desired.changes_of_reused(seen)
    annotations = {RUN_ID: begun.get("runId"), **({names.SUSPENDED_BY: None} if marked else {})}
    return (patch_spec(TRAINING_JOBS, job, {**changes, "suspend": False, "standby": False}, annotations=annotations),)


def _is_refused(job: Object) -> bool:
    refused = get_condition(job, "OwnedElsewhere") or {}
    return refused.get("status") == "True" and refused.get("observedGeneration") == job["metadata"]["generation"]


def _serve(seen: Seen, facts: Mapping[str, Any]) -> Step | None:
    """None once the server is ready."""
    server, carried = seen.target.server, desired.cargo(seen)
    if server is not None and is_true(server, "Ready"):
        return None
    if server is None and carried is not None:
        made = (Create(desired.server(seen, carried)),)
        return Step("Serve", "Starting", "the server is being made", target=made, facts=facts, look_again=LOOK_AGAIN)
    ready: Mapping[str, Any] = get_condition(server or {}, "Ready") or {}
    return Step("Serve", ready.get("reason", "Starting"), ready.get("message", ""), facts=facts)


def _stage(seen: Seen) -> str:
    if "resume" in seen.spec and not remembered(seen, "resumed"):
        return "Resume"
    return stage_names(seen)[-1]
