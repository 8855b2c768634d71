"""What a job reads off its attempts (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition, is_true, reason_of
from sojourn_operator.runtime.objects import Object, is_being_deleted
from sojourn_operator.trainingattempt import reasons as attempt_reasons


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt."""

    object: Object

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.object["metadata"]["name"])

    @property
    def number(self) -> int:
        """Which attempt of the job it is, from 1."""
        return int(self.object["spec"]["number"])

    @property
    def status(self) -> Mapping[str, Any]:
        """status, {} before anybody wrote one."""
        status: Mapping[str, Any] = self.object.get("status", {})
        return status

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """spec.stop."""
        stop: Mapping[str, Any] | None = self.object["spec"].get("stop")
        return stop

    @property
    def deleting(self) -> bool:
        """Whether somebody has asked for its deletion."""
        return is_being_deleted(self.object)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return is_true(self.object, attempt_reasons.ENDED)

    @property
    def end_reason(self) -> str:
        """Why it is over, one of trainingattempt.reasons."""
        return reason_of(self.object, attempt_reasons.ENDED)

    @property
    def end_message(self) -> str:
        """Why it is over, for people."""
        return str((get_condition(self.object, attempt_reasons.ENDED) or {}).get("message", ""))

    @property
    def end_time(self) -> datetime:
        """When it was over."""
        return parse_rfc3339((get_condition(self.object, attempt_reasons.ENDED) or {})["lastTransitionTime"])

    @property
    def released(self) -> bool:
        """Whether no pod of it runs any more."""
        return is_true(self.object, attempt_reasons.RELEASED)

    @property
    def exit_code(self) -> int | None:
        """Exit code of its head."""
        code: int | None = self.status.get("outcome", {}).get("exitCode")
        return code

    @property
    def outcome_reason(self) -> str:
        """The head's own word for how it ended."""
        return str(self.status.get("outcome", {}).get("reason", ""))

    @property
    def has_committed(self) -> bool:
        """Whether it made a checkpoint itself; one that it restored is older than the attempt."""
        time = self.status.get("lastCommit", {}).get("time")
        return time is not None and parse_rfc3339(time) > parse_rfc3339(self.object["metadata"]["creationTimestamp"])

    @property
    def failures(self) -> int:
        """Failures in a row without a new checkpoint, those of earlier attempts and its own end included."""
        before = 0 if self.has_committed else int(self.object["spec"].get("priorFailures", 0))
        own = int(self.status.get("failures", 0))
        return before + own + (1 if self.end_reason in attempt_reasons.COUNTED else 0)


def retry_delay(failures: int) -> timedelta:
    """How long after a failure the next attempt starts: at once, then 10, 20, 40, ... at most 300 seconds."""
    return timedelta(seconds=0 if failures <= 1 else min(10 * 2 ** min(failures - 2, 8), 300))
