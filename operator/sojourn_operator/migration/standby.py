"""The target gets ready before a source that trains is stopped: its pods, and the newest checkpoint (pure)."""

from __future__ import annotations

from sojourn_operator.migration import desired, names
from sojourn_operator.migration.observe import Seen
from sojourn_operator.migration.step import LOOK_AGAIN, Step, patch_spec, remembered, status_of, wants_standby
from sojourn_operator.resources import TRAINING_JOBS
from sojourn_operator.runtime.actions import Action, Create
from sojourn_operator.runtime.conditions import get_condition, is_true


def stand_by(seen: Seen, source: tuple[Action, ...], target: tuple[Action, ...]) -> Step | None:
    """The next step until the target stands by, None once it does, or where nobody waits for it any more.

    Args:
        source: what is to be done there meanwhile.
        target: the same at the target.
    """
    if not wants_standby(seen) or remembered(seen, "stoodBy") or not _trains(seen):
        return None
    job = seen.target.job
    if job is not None and not names.is_made_by(job, seen.migration):
        return None  # one from an earlier stay of the run: it goes on as it was
    if job is None or job["spec"].get("suspend"):
        return _step("Starting", "the target's pods are started", source, (*target, *_start(seen)))
    if is_true(job, "Failed"):
        why = (get_condition(job, "Failed") or {}).get("message", "")
        lost = {"reason": "TargetFailed", "message": f"the target's pods do not get ready: {why}"}
        return Step("Undo", lost["reason"], lost["message"], look_again=LOOK_AGAIN, facts={"undo": lost})
    if status_of(job).get("phase") == "Standby":
        return None
    running = get_condition(job, "Running") or {}
    message = running.get("message") or f"the job at the target is {status_of(job).get('phase', 'Pending')}"
    return _step(running.get("reason", "Starting"), message, source, target)


def _start(seen: Seen) -> tuple[Action, ...]:
    """Have the job at the target made, which preflight may have done, and then its pods."""
    if seen.target.job is not None:
        return (patch_spec(TRAINING_JOBS, seen.target.job, {"suspend": False, "standby": True}),)
    wanted = desired.job(seen)
    return (Create(wanted),) if wanted is not None else ()


def _trains(seen: Seen) -> bool:
    job = seen.source.job
    going = status_of(job).get("phase") in ("Pending", "Running")
    return job is not None and not job["spec"].get("suspend") and going


def _step(reason: str, message: str, source: tuple[Action, ...], target: tuple[Action, ...]) -> Step:
    return Step("Standby", reason, message, source, target, look_again=LOOK_AGAIN)
