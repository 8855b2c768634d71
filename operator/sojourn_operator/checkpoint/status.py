"""The status of a Checkpoint (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sojourn_operator.checkpoint.words import quality, size
from sojourn_operator.resources import CHECKPOINTS
from sojourn_operator.runtime.actions import Action, SetStatus, Tell
from sojourn_operator.runtime.conditions import condition, get_condition, with_condition
from sojourn_operator.runtime.objects import Object


def with_availability(
    item: Object, exists: bool, is_best: bool | None, keep_best: Mapping[str, Any] | None, now: datetime
) -> Sequence[Action]:
    """Say whether it can be restored, and how good it is; nothing where that is said already.

    Args:
        is_best: None where nobody knows (any more): then it stays as it is.
    """
    spec, before = item["spec"], item.get("status", {})
    wanted = (
        condition("Available", True, "Committed", "the run's log names it")
        if exists
        else condition("Available", False, "Retired", "the run has retired it, and its files are deleted")
    )
    generation = int(item["metadata"].get("generation", 1))
    status: dict[str, Any] = {
        **before,
        "observedGeneration": generation,
        "conditions": with_condition(before.get("conditions", ()), wanted, generation, now),
        "size": size(spec.get("bytes", 0)),
    }
    if is_best is not None:
        status["best"] = is_best and exists
        status["quality"] = quality(spec.get("metrics", {}), keep_best) or None
    elif "quality" not in before:
        status["quality"] = quality(spec.get("metrics", {}), None) or None
    status = {name: value for name, value in status.items() if value is not None}
    if status == before:
        return ()
    marked = get_condition(item, "Available")
    told = [Tell(item, "Normal", "Retired", wanted.message)] if not exists and marked else []
    return [SetStatus(CHECKPOINTS, item, status), *told]
