"""One step of a migration, and what is read off the objects to decide on it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sojourn_operator.migration import names
from sojourn_operator.migration.observe import Seen
from sojourn_operator.resources import CHECKPOINT_TRANSFERS
from sojourn_operator.runtime.actions import Action, Delete, Patch
from sojourn_operator.runtime.objects import Object, Resource, is_being_deleted, uid_of

LOOK_AGAIN = 5.0
Outcome = Literal["", "Complete", "Failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """What is done next.

    Args:
        stage: the stage under way, or Undo.
        outcome: how the migration has ended with this step.
        facts: what is to be remembered in status.plan before anything is done; None forgets it.
    """

    stage: str
    reason: str = ""
    message: str = ""
    source: tuple[Action, ...] = ()
    target: tuple[Action, ...] = ()
    outcome: Outcome = ""
    look_again: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def stage_names(seen: Seen) -> tuple[str, ...]:
    """The stages of this migration, in order."""
    return (
        "Preflight",
        *(("Standby",) if wants_standby(seen) else ()),
        *(("Checkpoint",) if "trainingJob" in seen.spec["source"] else ()),
        "Transfer",
        "Verify",
        *(("Fence",) if is_cold(seen) else ()),
        *(("Resume",) if "resume" in seen.spec else ()),
        *(("Serve",) if "serve" in seen.spec else ()),
    )


def wants_standby(seen: Seen) -> bool:
    """Whether the target gets ready before the source stops."""
    resume = seen.spec.get("resume")
    return is_cold(seen) and "trainingJob" in seen.spec["source"] and resume is not None and resume.get("standby", True)


def is_cold(seen: Seen) -> bool:
    """Whether the run is handed over."""
    return bool(seen.spec["mode"] == "Cold")


def remembered(seen: Seen, fact: str) -> Any:
    """What an earlier step wrote down, None if it did not."""
    return seen.status.get("plan", {}).get(fact)


def is_fence_asked_for(seen: Seen) -> bool:
    """Whether the source may have been fenced by us, though nobody has told yet."""
    return "fence" in spec_of(seen.source.transfer)


def fenced(seen: Seen) -> Mapping[str, Any] | None:
    """The fence as the source's log holds it; remembered too, in case the source is lost."""
    told: Mapping[str, Any] = status_of(seen.source.transfer).get("fenced") or {}
    if told.get("migrationId") == seen.uid:
        return told
    kept: Mapping[str, Any] | None = remembered(seen, "fenced")
    return kept


def began(seen: Seen) -> Mapping[str, Any] | None:
    """The run at the target, once it exists."""
    kept: Mapping[str, Any] | None = remembered(seen, "began")
    told: Mapping[str, Any] | None = status_of(seen.target.transfer).get("began")
    return kept or told


def verified(seen: Seen) -> Mapping[str, Any] | None:
    """What has arrived in the present round, once all of it is verified."""
    found: Mapping[str, Any] | None = status_of(seen.target.transfer).get("verified")
    wanted = spec_of(seen.target.transfer).get("round", 1)
    return found if found is not None and found.get("round", 1) == wanted else None


def next_round(seen: Seen) -> tuple[Action, ...]:
    """Ask the receiver for what is new, unless it is at that already."""
    transfer = seen.target.transfer
    if transfer is None or verified(seen) is None:
        return ()
    wanted = {"round": transfer["spec"].get("round", 1) + 1}
    return (patch_spec(CHECKPOINT_TRANSFERS, transfer, wanted, transfer["metadata"]["resourceVersion"]),)


def delete_ours(resource: Resource, obj: Object | None, seen: Seen) -> tuple[Action, ...]:
    """Delete what this migration made, if it is there."""
    if obj is None or is_being_deleted(obj) or not names.is_made_by(obj, seen.migration):
        return ()
    return (Delete(resource, obj["metadata"]["namespace"], obj["metadata"]["name"], uid_of(obj)),)


def patch_spec(
    resource: Resource,
    obj: Object,
    spec: Mapping[str, Any],
    version: str = "",
    annotations: Mapping[str, Any] | None = None,
) -> Action:
    """A merge patch of spec and annotations; with `version` only if the object is still that one."""
    patch = {
        **({"metadata": {"annotations": annotations}} if annotations else {}),
        **({"spec": spec} if spec else {}),
    }
    return Patch(resource, obj["metadata"]["namespace"], obj["metadata"]["name"], patch, version)


def status_of(obj: Object | None) -> Mapping[str, Any]:
    """status, {} where there is none."""
    status: Mapping[str, Any] = obj.get("status", {}) if obj is not None else {}
    return status


def spec_of(obj: Object | None) -> Mapping[str, Any]:
    """spec, {} where there is none."""
    spec: Mapping[str, Any] = obj["spec"] if obj is not None else {}
    return spec
