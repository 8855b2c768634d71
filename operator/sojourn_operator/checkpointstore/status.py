"""The status of a store, and the events that tell of its changes (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_operator.checkpointstore.observe import Observed
from sojourn_operator.engines.storage import store_address
from sojourn_operator.resources import CHECKPOINT_STORES
from sojourn_operator.runtime.actions import Action, SetStatus, Tell
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.conditions import Status, condition, get_condition, with_condition


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether the store can hold runs, and why."""

    reason: str
    message: str
    status: Status = "False"


def found(seen: Observed, said: Mapping[str, Any]) -> list[Action]:
    """What a probe left behind, written down."""
    hint = f" {said['hint']}" if said.get("hint") else ""
    finding = Finding(
        str(said.get("reason", "ProbeFailed")),
        f"{said.get('message', '')}{hint}"[:4096],
        "True" if said.get("ready") else "False",
    )
    facts = {name: said.get(name) for name in ("storeId", "freeBytes") if said.get(name) is not None}
    return set_ready(seen, finding, {**facts, "lastProbeTime": rfc3339(seen.now)})


def set_ready(seen: Observed, finding: Finding, facts: Mapping[str, Any] | None = None) -> list[Action]:
    """Condition Ready, what is known of the store, and an event where Ready changes."""
    wanted = condition("Ready", finding.status, finding.reason, finding.message)
    status = dict(seen.status)
    modes = (seen.claim or {}).get("status", {}).get("accessModes") or (seen.claim or {}).get("spec", {}).get(
        "accessModes", []
    )
    status |= {"uri": store_address(seen.spec), "observedGeneration": seen.generation, **(facts or {})}
    if modes:
        status["accessModes"] = list(modes)
    status["conditions"] = with_condition(status.get("conditions", ()), wanted, seen.generation, seen.now)
    before = get_condition(seen.store, "Ready")
    actions: list[Action] = [SetStatus(CHECKPOINT_STORES, seen.store, status)]
    changed = before is None or (before["status"], before["reason"]) != (finding.status, finding.reason)
    if changed and finding.status != "Unknown":
        kind = "Normal" if finding.status == "True" else "Warning"
        actions.append(Tell(seen.store, kind, finding.reason, finding.message))  # type: ignore[arg-type]
    return actions
