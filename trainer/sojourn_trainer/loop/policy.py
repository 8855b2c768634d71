"""When to save: pure rules over steps, seconds and flags, the same on every worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from sojourn_trainer.loop.flags import Flags


class Action(Enum):
    """What all workers do at a step boundary."""

    GO_ON = "goOn"
    SAVE = "save"
    STOP = "stop"  # save, wait for the commit, end
    ABORT = "abort"  # end without saving


@dataclass(frozen=True, slots=True)
class SaveState:
    """`pending`: a save is due and has not begun, because the one before is still under way."""

    pending: bool = False


def decide(state: SaveState, flags: Flags, step: int, every_steps: int | None) -> tuple[Action, SaveState]:
    """The action at the boundary after `step`.

    Args:
        state: what the boundary before left.
        flags: sums over all replicas, as reduced with `step`.
        step: optimizer steps taken so far.
        every_steps: save at multiples of this, or None.

    A save that falls due while another is under way waits for the first boundary at which none is.
    """
    if flags.abort > 0:
        return Action.ABORT, state
    if flags.stop > 0:
        return Action.STOP, state
    due = state.pending or flags.checkpoint > 0 or (every_steps is not None and step % every_steps == 0)
    if not due:
        return Action.GO_ON, state
    if flags.saving > 0:
        return Action.GO_ON, replace(state, pending=True)
    return Action.SAVE, replace(state, pending=False)
