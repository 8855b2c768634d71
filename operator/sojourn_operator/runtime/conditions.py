"""Lists of metav1.Condition: read, and changed without touching what did not change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.objects import Object

Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is to be said. `reason` is one CamelCase word of a fixed set, `message` is for people."""

    type: str
    status: Status
    reason: str
    message: str = ""


def condition(kind: str, status: Status | bool, reason: str, message: str = "") -> Condition:
    """A condition; a bool stands for "True" or "False"."""
    if isinstance(status, bool):
        status = "True" if status else "False"
    return Condition(kind, status, reason, message)


def with_conditions(
    conditions: Sequence[Mapping[str, Any]], wanted: Iterable[Condition], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The list with `wanted` in it; the time of transition moves only where a status does."""
    result = [dict(entry) for entry in conditions]
    places = {entry["type"]: place for place, entry in enumerate(result)}
    for new in wanted:
        old = result[places[new.type]] if new.type in places else {}
        entry = {
            "type": new.type,
            "status": new.status,
            "observedGeneration": generation,
            "lastTransitionTime": old["lastTransitionTime"] if old.get("status") == new.status else rfc3339(now),
            "reason": new.reason,
            "message": new.message,
        }
        if new.type in places:
            result[places[new.type]] = entry
        else:
            places[new.type] = len(result)
            result.append(entry)
    return result


def with_condition(
    conditions: Sequence[Mapping[str, Any]], wanted: Condition, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The list with one condition set."""
    return with_conditions(conditions, (wanted,), generation, now)


def get_condition(obj: Object, kind: str) -> Mapping[str, Any] | None:
    """An object's condition of this type, or None."""
    for entry in obj.get("status", {}).get("conditions", ()):
        if entry["type"] == kind:
            found: Mapping[str, Any] = entry
            return found
    return None


def is_true(obj: Object, kind: str) -> bool:
    """Whether the condition is there with status True."""
    entry = get_condition(obj, kind)
    return entry is not None and entry["status"] == "True"


def is_false(obj: Object, kind: str) -> bool:
    """Whether the condition is there with status False."""
    entry = get_condition(obj, kind)
    return entry is not None and entry["status"] == "False"


def reason_of(obj: Object, kind: str) -> str:
    """The condition's reason, or ""."""
    entry = get_condition(obj, kind)
    return str(entry.get("reason", "")) if entry is not None else ""
