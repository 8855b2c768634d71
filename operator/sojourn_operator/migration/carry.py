"""Up to the hand-over: stop the source or ask it for a checkpoint, and have everything copied and verified (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sojourn_operator.migration import arrive, desired, names
from sojourn_operator.migration.handover import ask_for_fence
from sojourn_operator.migration.observe import Seen
from sojourn_operator.migration.standby import stand_by
from sojourn_operator.migration.step import (
    LOOK_AGAIN,
    Step,
    began,
    is_cold,
    next_round,
    patch_spec,
    spec_of,
    status_of,
    verified,
    wants_standby,
)
from sojourn_operator.resources import CHECKPOINT_TRANSFERS, TRAINING_JOBS
from sojourn_operator.runtime.actions import Action, Create

_ENDED = frozenset({"Complete", "Failed"})
_STOPPED = _ENDED | {"Suspended", "OwnedElsewhere"}


def carry(seen: Seen, left: float | None) -> Step:
    """The next step before the fence, or of a copy.

    Args:
        left: seconds until the deadline.
    """
    for side in (seen.source, seen.target):
        if side.problem is not None:
            return Step(_current(seen), side.problem.reason, side.problem.message, look_again=LOOK_AGAIN)
    early = stand_by(seen, *_transfers(seen))
    if early is not None:
        return early
    waiting, ask = _prepare_source(seen)
    if waiting and not is_cold(seen):
        return Step("Checkpoint", "Saving", waiting, ask, look_again=left)
    source, target = _transfers(seen)
    source = (*ask, *source)
    if waiting:
        facts = {"stoodBy": True} if wants_standby(seen) else {}
        target = (*target, *_last_round(seen))
        return Step("Checkpoint", "Stopping", waiting, source, target, look_again=left, facts=facts)
    arrived = verified(seen)
    if arrived is None:
        status = status_of(seen.target.transfer)
        message = status.get("message") or f"the receiver is {status.get('phase', 'Pending')}"
        return Step("Transfer", status.get("reason") or "Copying", message, source, target, look_again=left)
    return _arrived(seen, source, target, arrived)


def _arrived(seen: Seen, source: tuple[Action, ...], target: tuple[Action, ...], arrived: Mapping[str, Any]) -> Step:
    if is_cold(seen):
        newest = status_of(seen.source.job).get("lastCommit", {}).get("step", -1)
        if newest > arrived.get("step", -1):
            message = f"the last checkpoint, of step {newest}, is still to come"
            return Step("Transfer", "NextRound", message, source, (*target, *next_round(seen)))
        return ask_for_fence(seen, source, target, arrived)
    begun = began(seen)
    if begun is None:
        return Step("Verify", "Beginning", "the target begins the run", source, target, look_again=LOOK_AGAIN)
    return arrive.go_on(seen, begun, {})


def _last_round(seen: Seen) -> tuple[Action, ...]:
    """Have the last checkpoint copied while the source's pods still end: they commit nothing after it."""
    arrived, status = verified(seen), status_of(seen.source.job)
    newest = status.get("lastCommit", {}).get("step", -1)
    stopped = status.get("phase") == "Suspending" and status.get("step") == newest
    return next_round(seen) if stopped and arrived is not None and newest > arrived.get("step", -1) else ()


def _prepare_source(seen: Seen) -> tuple[str, tuple[Action, ...]]:
    """What the source's job has yet to do before everything can be carried over, "" if nothing; and how it is asked."""
    job = seen.source.job if "trainingJob" in seen.spec["source"] else None
    if job is None:
        return "", ()
    return _stop(seen) if is_cold(seen) else _save(seen)


def _stop(seen: Seen) -> tuple[str, tuple[Action, ...]]:
    job = seen.source.job
    assert job is not None
    phase, suspended = status_of(job).get("phase"), job["spec"].get("suspend")
    if phase in _ENDED or (suspended and phase in _STOPPED):
        return "", ()
    waiting = "the source commits a checkpoint and stops"
    if suspended:
        return waiting, ()
    mark = {names.SUSPENDED_BY: seen.uid}
    return waiting, (patch_spec(TRAINING_JOBS, job, {"suspend": True}, annotations=mark),)


def _save(seen: Seen) -> tuple[str, tuple[Action, ...]]:
    job = seen.source.job
    assert job is not None
    token, status = f"mig-{seen.uid[:8]}", status_of(job)
    answered = status.get("checkpointRequest", {}).get("token") == token
    # Once the transfer has begun, somebody else's later request is not to be overwritten.
    if status.get("phase") != "Running" or answered or seen.target.transfer is not None:
        return "", ()
    waiting = "the source is asked for a checkpoint"
    if job["spec"].get("checkpoint", {}).get("request") == token:
        return waiting, ()
    return waiting, (patch_spec(TRAINING_JOBS, job, {"checkpoint": {"request": token}}),)


def _transfers(seen: Seen) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Both ends, each told of the other."""
    carried = desired.cargo(seen)
    if carried is None:
        return (), ()
    sender, receiver = seen.source.transfer, seen.target.transfer
    source: tuple[Action, ...] = ()
    target: tuple[Action, ...] = ()
    if sender is None:
        source = (Create(desired.send(seen, carried)),)
    elif (peer := desired.peer_of_sender(seen)) and spec_of(sender).get("peer") != peer:
        source = (patch_spec(CHECKPOINT_TRANSFERS, sender, {"peer": peer}),)
    if receiver is None:
        target = (Create(desired.receive(seen, carried)),)
    elif (peer := desired.peer_of_receiver(seen)) and spec_of(receiver).get("peer") != peer:
        target = (patch_spec(CHECKPOINT_TRANSFERS, receiver, {"peer": peer}),)
    return source, target


def _current(seen: Seen) -> str:
    running = [stage["name"] for stage in seen.status.get("pipeline", ()) if stage["phase"] == "Running"]
    return running[0] if running else "Transfer"
