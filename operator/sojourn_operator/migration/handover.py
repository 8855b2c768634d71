"""The hand-over: one entry in the source's log, asked for late and answered by the log alone (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sojourn_operator.migration import arrive, desired, names
from sojourn_operator.migration.observe import Seen
from sojourn_operator.migration.step import LOOK_AGAIN, Step, began, next_round, patch_spec, status_of
from sojourn_operator.resources import CHECKPOINT_TRANSFERS
from sojourn_operator.runtime.actions import Action, Create
from sojourn_operator.runtime.objects import is_being_deleted


def ask_for_fence(
    seen: Seen, source: tuple[Action, ...], target: tuple[Action, ...], arrived: Mapping[str, Any]
) -> Step:
    """All has arrived and the source rests: ask its log to hand the run over, if nothing came after."""
    transfer = seen.source.transfer
    if transfer is None or is_being_deleted(transfer):
        return Step("Fence", "SenderLost", "the sender is made again", source, target, look_again=LOOK_AGAIN)
    if names.WITHDRAWN in transfer["metadata"].get("annotations", {}):
        return Step("Fence", "Withdrawn", "the migration was given up", source, target)
    if "refused" in status_of(transfer):
        # The answer to the last request; the mover takes it away when it sees that the request was withdrawn.
        return Step("Fence", "Refused", "asking again", source, target, look_again=LOOK_AGAIN)
    recipient = desired.recipient(seen)
    if not recipient.get("runId"):
        return Step("Fence", "NoRecipient", "the receiver has not named the run yet", source, target)
    fence = {
        "migrationId": seen.uid,
        "recipient": recipient,
        **{name: arrived[name] for name in ("term", "manifest") if name in arrived},
        **_takeover(seen),
    }
    # Conditional: whoever withdrew or deleted it in the meantime is right.
    ask = patch_spec(CHECKPOINT_TRANSFERS, transfer, {"fence": fence}, transfer["metadata"]["resourceVersion"])
    message = "the source's log is asked to hand the run over"
    # Other patches of the sender would make the version that this one is based on an old one.
    return Step("Fence", "Fencing", message, source or (ask,), target, facts={"fencing": True}, look_again=LOOK_AGAIN)


def _takeover(seen: Seen) -> Mapping[str, Any]:
    """A person's order to take the run over, if there is one; the log keeps it."""
    order = seen.spec.get("takeover")
    return {"takeover": dict(order)} if order else {}


def await_fence(seen: Seen) -> Step:
    """The fence was asked for: it holds, or the log has moved on, or nobody knows yet."""
    transfer = seen.source.transfer
    refused = status_of(transfer).get("refused")
    if refused is None or transfer is None:
        problem = seen.source.problem
        message = problem.message if problem else "waiting for the source's log"
        return Step("Fence", "Fencing", message, look_again=LOOK_AGAIN)
    withdraw = (patch_spec(CHECKPOINT_TRANSFERS, transfer, {"fence": None}, transfer["metadata"]["resourceVersion"]),)
    message = str(refused.get("message", ""))
    if refused.get("reason") == "MovedOn":
        message = f"the source went on meanwhile: {message}"
        return Step("Checkpoint", "MovedOn", message, withdraw, next_round(seen), facts={"fencing": None})
    lost = {"reason": "OwnedElsewhere", "message": message or "the run is owned elsewhere"}
    return Step("Undo", lost["reason"], lost["message"], withdraw, facts={"undo": lost, "fencing": None})


def after_fence(seen: Seen, fence: Mapping[str, Any]) -> Step:
    """The target owns the run: it begins the child and goes on, however long that takes."""
    facts = {"fenced": dict(fence), "fencing": None, "undo": None}
    problem, transfer = seen.target.problem, seen.target.transfer
    if problem is not None:
        return Step("Fence", problem.reason, problem.message, look_again=LOOK_AGAIN, facts=facts)
    begun = began(seen)
    if begun is not None:
        return arrive.go_on(seen, begun, facts)
    if transfer is None:
        carried = desired.cargo(seen)
        again = (Create(desired.receive(seen, carried)),) if carried is not None else ()
        message = "the receiver is made again"
        return Step("Fence", "ReceiverLost", message, target=again, facts=facts, look_again=LOOK_AGAIN)
    wanted = {"migrationId": seen.uid, **{name: fence[name] for name in ("manifest", "digest") if name in fence}}
    told = transfer["spec"].get("fence") == wanted
    tell = () if told else (patch_spec(CHECKPOINT_TRANSFERS, transfer, {"fence": wanted}),)
    return Step("Fence", "Beginning", "the target begins the run", target=tell, facts=facts, look_again=LOOK_AGAIN)
