"""What is done about a migration: at home, at the source and at the target (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sojourn_operator.migration.names import FINALIZER
from sojourn_operator.migration.observe import Seen
from sojourn_operator.migration.preflight import preflight
from sojourn_operator.migration.stages import next_step
from sojourn_operator.migration.status import SLOW, migration_status
from sojourn_operator.migration.step import LOOK_AGAIN, Step, began
from sojourn_operator.migration.undo import clean_up
from sojourn_operator.resources import MIGRATIONS
from sojourn_operator.runtime.actions import Action, Plan, SetStatus, Tell
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import is_true
from sojourn_operator.runtime.events import EventType
from sojourn_operator.runtime.finalizers import add_finalizer, has_finalizer, remove_finalizer
from sojourn_operator.runtime.objects import is_being_deleted

# A deletion waits for a hand-over that is under way, but not for ever.
RELEASE_AFTER = timedelta(minutes=10)
_NOTHING = Plan()


@dataclass(frozen=True, slots=True)
class Journey:
    """One reconcile: `home` before anything else (what is decided is written down first), `last` after everything."""

    home: Plan
    source: Plan = _NOTHING
    target: Plan = _NOTHING
    last: Plan = _NOTHING
    outcome: str = ""
    status: Mapping[str, Any] = field(default_factory=dict)


def plan_migration(seen: Seen) -> Journey:
    """The actions of one reconcile."""
    migration = seen.migration
    if is_true(migration, "Complete") or is_true(migration, "Failed"):
        return _ended(seen)
    if is_being_deleted(migration) and (not has_finalizer(migration, FINALIZER) or _waited_enough(seen)):
        return Journey(Plan(_released(seen)))
    if not is_being_deleted(migration) and not has_finalizer(migration, FINALIZER):
        return Journey(Plan([add_finalizer(MIGRATIONS, migration, FINALIZER)]))
    checked = preflight(seen)
    step = next_step(seen, checked)
    status = migration_status(seen, checked, step)
    home: list[Action] = [SetStatus(MIGRATIONS, migration, status, SLOW), *_events(seen, status, step)]
    released = is_being_deleted(migration) and (began(seen) is not None or step.outcome)
    last = _released(seen) if released else []
    return Journey(Plan(home, step.look_again), Plan(step.source), Plan(step.target), Plan(last), step.outcome, status)


def _ended(seen: Seen) -> Journey:
    """Take away the movers, which have told everything, and let go."""
    source, target = clean_up(seen)
    reachable = seen.source.problem is None and seen.target.problem is None
    if source or target:
        return Journey(Plan(), Plan(source), Plan(target), Plan(requeue_after=LOOK_AGAIN))
    if not reachable and not is_being_deleted(seen.migration):
        return Journey(Plan(requeue_after=60.0))
    return Journey(Plan(_released(seen)))


def _released(seen: Seen) -> list[Action]:
    if not has_finalizer(seen.migration, FINALIZER):
        return []
    return [remove_finalizer(MIGRATIONS, seen.migration, FINALIZER)]


def _waited_enough(seen: Seen) -> bool:
    return bool(seen.now - parse_rfc3339(seen.migration["metadata"]["deletionTimestamp"]) > RELEASE_AFTER)


def _events(seen: Seen, status: dict[str, Any], step: Step) -> list[Action]:
    """An Event when a stage is reached, or something new stands in the way."""
    migration, before = seen.migration, seen.status
    if before.get("phase") == status["phase"] and _reason(before) == _reason(status):
        return []
    if step.outcome == "Complete":
        return [Tell(migration, "Normal", "Complete", _summary(status))]
    if step.stage == "Undo" or step.outcome == "Failed":
        return [Tell(migration, "Warning", step.reason, step.message)]
    trouble = step.stage == "Preflight" and step.reason not in ("", "DryRun", "TargetNotChecked", "Connecting")
    kind: EventType = "Warning" if trouble else "Normal"
    return [Tell(migration, kind, step.reason or step.stage, f"{step.stage}: {step.message}")]


def _reason(status: Any) -> str:
    running = [stage for stage in status.get("pipeline", ()) if stage["phase"] in ("Running", "Failed")]
    return str(running[0].get("reason", "")) if running else ""


def _summary(status: dict[str, Any]) -> str:
    parts = [f"step {status['committedStep']}"] if "committedStep" in status else []
    parts += [f"{status['bytes']} bytes sent"] if "bytes" in status else []
    parts += [f"{status['downtimeSeconds']:.1f} s without training"] if "downtimeSeconds" in status else []
    return ", ".join(parts) or "the run has arrived"
