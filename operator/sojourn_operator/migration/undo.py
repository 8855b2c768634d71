"""Giving a migration up before the hand-over: everything is as it was, and the source goes on (pure)."""

from __future__ import annotations

from datetime import timedelta

from sojourn_operator.migration import names
from sojourn_operator.migration.observe import Seen
from sojourn_operator.migration.step import LOOK_AGAIN, Step, delete_ours, patch_spec, remembered
from sojourn_operator.resources import CHECKPOINT_TRANSFERS, MODEL_SERVERS, TRAINING_JOBS
from sojourn_operator.runtime.actions import Action
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition
from sojourn_operator.runtime.objects import is_being_deleted


def given_up(seen: Seen) -> tuple[str, str] | None:
    """Why the migration is to be undone. Never while nobody knows whether the source is fenced."""
    if remembered(seen, "fencing"):
        return None
    recorded = remembered(seen, "undo")
    if recorded is not None:
        return recorded["reason"], recorded["message"]
    if is_being_deleted(seen.migration):
        return "Deleted", "the migration was deleted before the hand-over"
    left = seconds_left(seen)
    if left is not None and left <= 0:
        return "DeadlineExceeded", "deadlineSeconds have passed before the hand-over"
    return _failed_transfer(seen)


def seconds_left(seen: Seen) -> float | None:
    """Up to spec.deadlineSeconds, None without one."""
    deadline, started = seen.spec.get("deadlineSeconds"), seen.status.get("startTime")
    if deadline is None or started is None:
        return None
    return (parse_rfc3339(started) + timedelta(seconds=deadline) - seen.now).total_seconds()


def undo_step(seen: Seen, reason: str, message: str) -> Step:
    """Take back what was done, at each end that is in reach; failed once nothing of it is left."""
    facts = {"undo": {"reason": reason, "message": message}}
    source, target = _undo_source(seen), _undo_target(seen)
    away = [side.problem for side in (seen.source, seen.target) if side.problem is not None]
    # A cluster that nobody names any more is not waited for.
    problems = [problem.message for problem in away if problem.reason not in ("ClusterNotFound", "NamespaceNotFound")]
    transfers = [obj for obj in (seen.source.transfer, seen.target.transfer) if obj is not None]
    ours_left = any(names.is_made_by(obj, seen.migration) for obj in transfers)
    if not (source or target or problems or ours_left):
        return Step("Undo", reason, message, outcome="Failed", facts=facts)
    why = f"{message}; the rest follows when it is in reach: {'; '.join(problems)}" if problems else message
    return Step("Undo", reason, why, source, target, look_again=LOOK_AGAIN, facts=facts)


def clean_up(seen: Seen) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """What is not needed any more at source and target once a migration has ended."""
    return (
        delete_ours(CHECKPOINT_TRANSFERS, seen.source.transfer, seen),
        delete_ours(CHECKPOINT_TRANSFERS, seen.target.transfer, seen),
    )


def _undo_source(seen: Seen) -> tuple[Action, ...]:
    transfer, job = seen.source.transfer, seen.source.job
    if transfer is not None and names.is_made_by(transfer, seen.migration):
        # The mark is refused if a fence was asked for that our cache has not shown yet. And the job starts again
        # only when the sender is gone, which could still have fenced it.
        mark = {names.WITHDRAWN: seen.uid}
        version = transfer["metadata"]["resourceVersion"]
        delete = delete_ours(CHECKPOINT_TRANSFERS, transfer, seen)
        return (patch_spec(CHECKPOINT_TRANSFERS, transfer, {}, version, mark), *delete) if delete else ()
    if job is None or job["metadata"].get("annotations", {}).get(names.SUSPENDED_BY) != seen.uid:
        return ()
    go_on = {"suspend": False} if job["spec"].get("suspend") else {}
    return (patch_spec(TRAINING_JOBS, job, go_on, annotations={names.SUSPENDED_BY: None}),)


def _undo_target(seen: Seen) -> tuple[Action, ...]:
    return (
        *delete_ours(CHECKPOINT_TRANSFERS, seen.target.transfer, seen),
        *delete_ours(TRAINING_JOBS, seen.target.job, seen),
        *delete_ours(MODEL_SERVERS, seen.target.server, seen),
    )


def _failed_transfer(seen: Seen) -> tuple[str, str] | None:
    for end, transfer in (("sender", seen.source.transfer), ("receiver", seen.target.transfer)):
        failed = get_condition(transfer or {}, "Failed")
        if failed is not None and failed["status"] == "True":
            return failed["reason"], f"the {end} failed: {failed.get('message', '')}"
    return None
