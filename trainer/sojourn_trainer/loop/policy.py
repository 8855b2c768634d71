"""When to save: pure rules over steps, seconds and flags, the same on every worker."""

from __future__ import annotations

from dataclasses import dataclass
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
    """What is due and has not begun, because the save before is still under way.

    Attributes:
        pending: a save is.
        merged: another one has fallen due meanwhile, and will not be made apart from it.
    """

    pending: bool = False
    merged: bool = False


def decide(state: SaveState, flags: Flags, step: int, every_steps: int | None) -> tuple[Action, SaveState]:
    """The action at the boundary after `step`.

    Args:
        state: what the boundary before left.
        flags: sums over all replicas, as reduced with `step`.
        step: optimizer steps taken so far.
        every_steps: save at multiples of this, or None.

    A save that falls due while another is under way waits for the first boundary at which none is; all that fall due
    until then become one.
    """
    if flags.abort > 0:
        return Action.ABORT, state
    if flags.stop > 0:
        return Action.STOP, state
    due = flags.checkpoint > 0 or (every_steps is not None and step % every_steps == 0)
    if not due and not state.pending:
        return Action.GO_ON, state
    if flags.saving > 0:
        return Action.GO_ON, SaveState(pending=True, merged=state.merged or (due and state.pending))
    return Action.SAVE, SaveState()
