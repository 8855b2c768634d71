"""What is to become of a job: the one place where its attempts, its spec and its limits are weighed (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from sojourn.api import TrainingJobSpec
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition, is_true
from sojourn_operator.trainingattempt import reasons as attempt_reasons
from sojourn_operator.trainingjob import reasons
from sojourn_operator.trainingjob.attempts import AttemptView, retry_delay
from sojourn_operator.trainingjob.feasible import Feasibility
from sojourn_operator.trainingjob.frozen import differs
from sojourn_operator.trainingjob.observe import Observed

Course = Literal["Start", "Go", "Wait", "Suspending", "Suspended", "Complete", "Failed", "OwnedElsewhere"]
StopReason = Literal["Suspend", "Deadline", "Update"]

_HOPELESS: Final = {2: reasons.INVALID_TASK, 5: reasons.CORRUPT_DATA}
_REFUSED: Final = 4
_OTHER_JOB_CHECK: Final = 30.0
# What the run's log refuses an attempt for when the run is somebody else's.
_NOT_OURS: Final = {reasons.OWNED_ELSEWHERE: reasons.FENCED, "StaleTerm": reasons.STARTED_ELSEWHERE}
_STARTED_ELSEWHERE: Final = (
    "somebody else has started this run, another TrainingJob or `sojourn run`, and this job can commit nothing more: "
    "stop one of the two, and if it is the other, `sojourn resume` this job"
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a job comes to.

    Args:
        number: the attempt that it is about; with course Start the one to be made.
        attempt: that attempt, None if it is not there.
        previous: with course Start, the attempt that it follows at once.
        stop: why the attempt is to be asked to stop.
        look_again: seconds after which time alone changes the decision.
    """

    course: Course
    reason: str
    message: str = ""
    number: int = 0
    attempt: AttemptView | None = None
    previous: AttemptView | None = None
    failures: int = 0
    stop: StopReason | None = None
    look_again: float | None = None


def decide(seen: Observed, spec: TrainingJobSpec, feasible: Feasibility) -> Decision:
    """The decision on a job that has neither completed nor failed."""
    number = max([seen.status.get("attempts", 0), *(attempt["spec"]["number"] for attempt in seen.attempts)])
    found = seen.attempt(number)
    if found is None:
        # Either the first, or one that was recorded and then not made, or lost: the same number again.
        return _start(seen, spec, feasible, max(1, number), seen.status.get("failures", 0))
    attempt = AttemptView(found)
    if not attempt.ended:
        return _go_on(seen, spec, feasible, attempt)
    return _after(seen, spec, feasible, attempt)


def active_seconds(seen: Observed) -> int:
    """Seconds in which the job has trained, up to now."""
    before = int(seen.status.get("activeSeconds", 0))
    running = get_condition(seen.job, reasons.RUNNING)
    if running is None or running["status"] != "True":
        return before
    return before + max(0, int((seen.now - parse_rfc3339(running["lastTransitionTime"])).total_seconds()))


def _start(seen: Observed, spec: TrainingJobSpec, feasible: Feasibility, number: int, failures: int) -> Decision:
    """A new attempt, unless something speaks against it."""
    if _is_owned_elsewhere(seen):
        condition = get_condition(seen.job, reasons.OWNED_ELSEWHERE) or {}
        reason = condition.get("reason", reasons.FENCED)
        return Decision("OwnedElsewhere", reason, condition.get("message", ""), number, failures=failures)
    if spec.suspend:
        return Decision("Suspended", reasons.REQUESTED, _committed(seen), number, failures=failures)
    if _deadline_left(seen, spec) == 0:
        return _out_of_time(spec, number, failures)
    if not feasible.ok:
        # Nobody tells a job what becomes of another one.
        wait = _OTHER_JOB_CHECK if feasible.reason == reasons.RUN_IN_USE else None
        return Decision("Wait", feasible.reason, feasible.message, number, failures=failures, look_again=wait)
    return Decision("Start", reasons.NOT_STARTED, "the pods are being made", number, failures=failures)


def _go_on(seen: Observed, spec: TrainingJobSpec, feasible: Feasibility, attempt: AttemptView) -> Decision:
    left = _deadline_left(seen, spec)
    stop: StopReason | None = None
    if left == 0:
        stop = "Deadline"
    elif spec.suspend:
        stop = "Suspend"
    elif feasible.ok and differs(spec, attempt.object["spec"]["job"]):
        stop = "Update"
    if attempt.stop is not None or attempt.deleting:
        stop = None
    ready = get_condition(attempt.object, attempt_reasons.READY)
    return Decision(
        course="Suspending" if spec.suspend else "Go",
        reason=ready["reason"] if ready else attempt_reasons.CREATED,
        message=ready.get("message", "") if ready else "",
        number=attempt.number,
        attempt=attempt,
        failures=attempt.failures,
        stop=stop,
        look_again=left or None,
    )


def _after(seen: Observed, spec: TrainingJobSpec, feasible: Feasibility, attempt: AttemptView) -> Decision:
    """What follows an attempt that has ended."""
    last = _last_word(seen, spec, attempt)
    if last is not None:
        return last
    number, failures, message = attempt.number, attempt.failures, attempt.end_message
    if not attempt.released:
        why = f"waiting until no pod of {attempt.name} runs: {message}"
        return Decision(
            "Suspending" if spec.suspend else "Wait", reasons.RESTARTING, why, number, attempt, failures=failures
        )
    wait = (attempt.end_time + retry_delay(failures) - seen.now).total_seconds()
    if attempt.end_reason in attempt_reasons.COUNTED and wait > 0 and not spec.suspend:
        return Decision("Wait", reasons.RESTARTING, message, number, attempt, failures=failures, look_again=wait)
    following = _start(seen, spec, feasible, number + 1, failures)
    if following.course == "Start":
        return replace(following, previous=attempt)
    return Decision(following.course, following.reason, following.message, number, attempt, failures=failures)


def _last_word(seen: Observed, spec: TrainingJobSpec, attempt: AttemptView) -> Decision | None:
    """The end of the job, if an attempt's end is that."""
    if attempt.end_reason == attempt_reasons.SUCCEEDED:
        return Decision("Complete", reasons.TRAINED, attempt.end_message, attempt.number, attempt)
    if attempt.end_reason in attempt_reasons.COUNTED:
        return _final_failure(seen, spec, attempt)
    stop = (attempt.stop or {}).get("reason")
    if attempt.end_reason in attempt_reasons.STOPPED and stop == "Deadline":
        return _out_of_time(spec, attempt.number, attempt.failures, attempt)
    return None


def _final_failure(seen: Observed, spec: TrainingJobSpec, attempt: AttemptView) -> Decision | None:
    """What a failure means that no further attempt can mend, None for the others."""
    message, not_ours = attempt.end_message, _not_ours(attempt)
    if not_ours:
        # A later change of the job, such as the resume after a takeover, asks the log again.
        if _was_owned_elsewhere(seen, attempt) and not _is_owned_elsewhere(seen) and not spec.suspend:
            return None
        if not_ours == reasons.STARTED_ELSEWHERE:
            message = f"{_STARTED_ELSEWHERE} ({message})"
        return Decision("OwnedElsewhere", not_ours, message, attempt.number, attempt, failures=attempt.failures)
    if reason := _hopeless(attempt):
        return Decision("Failed", reason, message, attempt.number, attempt, failures=attempt.failures)
    if attempt.failures > spec.backoff_limit or attempt.outcome_reason == reasons.BACKOFF_LIMIT_EXCEEDED:
        why = f"{attempt.failures} failures without a new checkpoint; the last: {message}"
        return Decision(
            "Failed", reasons.BACKOFF_LIMIT_EXCEEDED, why, attempt.number, attempt, failures=attempt.failures
        )
    return None


def _not_ours(attempt: AttemptView) -> str:
    """Why the run is somebody else's, as its log told the attempt; "" if it did not."""
    return _NOT_OURS.get(attempt.outcome_reason, "") if attempt.exit_code == _REFUSED else ""


def _hopeless(attempt: AttemptView) -> str:
    """Why another attempt would end alike, "" if it may not."""
    if attempt.exit_code == _REFUSED and attempt.outcome_reason != attempt_reasons.LOST:
        return reasons.REFUSED_BY_RUN
    if attempt.outcome_reason == reasons.STORE_DENIED and not attempt.has_committed:
        return reasons.STORE_DENIED
    return _HOPELESS.get(attempt.exit_code or 0, "")


def _is_owned_elsewhere(seen: Observed) -> bool:
    """Whether the log has refused the job as it is now."""
    condition = get_condition(seen.job, reasons.OWNED_ELSEWHERE)
    if condition is None or condition["status"] != "True":
        return False
    return bool(condition.get("observedGeneration") == seen.job["metadata"].get("generation"))


def _was_owned_elsewhere(seen: Observed, attempt: AttemptView) -> bool:
    """Whether this attempt's refusal was seen before, by an earlier generation of the job."""
    return is_true(seen.job, reasons.OWNED_ELSEWHERE) and seen.status.get("attempt") == attempt.name


def _deadline_left(seen: Observed, spec: TrainingJobSpec) -> float | None:
    """Seconds of activity that are left, None without a limit."""
    if spec.active_deadline_seconds is None:
        return None
    return max(0.0, spec.active_deadline_seconds - active_seconds(seen))


def _out_of_time(spec: TrainingJobSpec, number: int, failures: int, attempt: AttemptView | None = None) -> Decision:
    message = f"the job was active for activeDeadlineSeconds ({spec.active_deadline_seconds}) and was stopped"
    return Decision("Failed", reasons.DEADLINE_EXCEEDED, message, number, attempt, failures=failures)


def _committed(seen: Observed) -> str:
    step = seen.status.get("lastCommit", {}).get("step")
    return f"suspended at step {step}, which is committed" if step is not None else "suspended before it started"
