"""Which transitions of a job people are told of (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from sojourn_operator.runtime.actions import Tell
from sojourn_operator.runtime.objects import Object
from sojourn_operator.trainingattempt import reasons as attempt_reasons
from sojourn_operator.trainingjob import reasons
from sojourn_operator.trainingjob.attempts import AttemptView
from sojourn_operator.trainingjob.decide import Decision

_TROUBLE: Final = frozenset(
    {
        attempt_reasons.UNSCHEDULABLE,
        attempt_reasons.IMAGE_PULL_FAILED,
        attempt_reasons.POD_BLOCKED,
        attempt_reasons.NAME_TAKEN,
        attempt_reasons.ENGINE_NOT_INSTALLED,
        attempt_reasons.HEAD_SILENT,
    }
)
_NORMAL: Final = frozenset({attempt_reasons.QUEUED, attempt_reasons.EVICTED, attempt_reasons.STANDBY})


def transitions(job: Object, status: Mapping[str, Any], decision: Decision) -> Iterator[Tell]:
    """Events for what `status`, about to be written, has that the job's present status has not."""
    before, after = _by_type(job.get("status", {})), _by_type(status)
    if decision.course == "Start":
        yield _tell(job, "Normal", "AttemptStarted", f"attempt {status['attempt']} is started")
    for name, kind, event in (
        (reasons.RUNNING, "Normal", "Training"),
        (reasons.SUSPENDED, "Normal", "Suspended"),
        (reasons.COMPLETE, "Normal", "Complete"),
        (reasons.FAILED, "Warning", ""),
        (reasons.OWNED_ELSEWHERE, "Warning", "OwnedElsewhere"),
    ):
        if _is(after, name, "True") and not _is(before, name, "True"):
            entry = after[name]
            words = entry["message"] or f"attempt {status.get('attempt', '')} trains"
            yield _tell(job, kind, event or entry["reason"], words)
    yield from _changes_of_reason(job, before, after)
    answer = status.get("checkpointRequest")
    if answer and answer != job.get("status", {}).get("checkpointRequest"):
        words = f"step {answer.get('step')} is committed, as {answer.get('token')} asked"
        yield _tell(job, "Normal", "CheckpointCommitted", words)
    yield from _lost_attempt(job, before, after, decision.previous or decision.attempt)


def _lost_attempt(
    job: Object,
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
    attempt: AttemptView | None,
) -> Iterator[Tell]:
    """Once for each attempt that ended in another way than it should."""
    well = (attempt_reasons.SUCCEEDED, *attempt_reasons.STOPPED)
    if attempt is None or not attempt.ended or attempt.end_reason in well:
        return
    if _reason(before, reasons.READY) not in (reasons.RESTARTING, _reason(after, reasons.READY)):
        yield _tell(job, "Warning", f"Attempt{attempt.end_reason}", f"{attempt.name}: {attempt.end_message}")


def _changes_of_reason(
    job: Object, before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[Tell]:
    feasible = after.get(reasons.FEASIBLE, {})
    if feasible.get("status") == "False" and feasible["reason"] != _reason(before, reasons.FEASIBLE):
        yield _tell(job, "Warning", feasible["reason"], feasible["message"])
    running = after.get(reasons.RUNNING, {})
    reason = running.get("reason", "")
    if reason != _reason(before, reasons.RUNNING):
        if reason in _TROUBLE:
            yield _tell(job, "Warning", reason, running["message"])
        elif reason in _NORMAL:
            yield _tell(job, "Normal", reason, running["message"])


def _tell(job: Object, kind: Literal["Normal", "Warning"] | str, reason: str, message: str) -> Tell:
    return Tell(job, "Warning" if kind == "Warning" else "Normal", reason, message)


def _by_type(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {entry["type"]: entry for entry in status.get("conditions", ())}


def _is(conditions: Mapping[str, Mapping[str, Any]], name: str, status: str) -> bool:
    return name in conditions and conditions[name]["status"] == status


def _reason(conditions: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return str(conditions.get(name, {}).get("reason", ""))
