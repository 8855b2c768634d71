"""Lets calls fail in place of killing: a full, broken or read-only disk, half-done calls, lost answers, slow fsync.

`python -m crash.faults STORY... FOLDER [--every N]` prints a line of JSON for each fault. The process that met it must
have got an error with a name, and must be able to save again once the fault is gone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass

from crash import preload
from crash.preload import FOR_EVER, Action, Call, Kind
from crash.stories import LIVE, Tell
from crash.strikes import Outcome, Stage, command, problem_of
from helpers.runs import assert_holds, commit_step
from sojourn.errors import SojournError
from sojourn.runlog.log import RunLog

_NEEDS_ROOM = Kind.MAKES | Kind.WRITES | Kind.SYNCS
_SAVED_AFTERWARDS = 8888


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: what befalls which calls, once or from then on.

    Args:
        met: kinds of calls at which it begins.
        harmless: whether the story must end as if nothing had been.
    """

    name: str
    action: Action
    met: Kind
    error: int = 0
    lasting: bool = False
    harmless: bool = False


FAULTS = (
    Fault("disk full from here on", Action.FAIL, _NEEDS_ROOM, errno.ENOSPC, lasting=True),
    Fault("I/O error", Action.FAIL, Kind.ALL, errno.EIO),
    Fault("I/O error from here on", Action.FAIL, Kind.CHANGES | Kind.SYNCS, errno.EIO, lasting=True),
    Fault("read-only from here on", Action.FAIL, Kind.CHANGES, errno.EROFS, lasting=True),
    Fault("done, and reported as failed", Action.FAIL_LATE, Kind.MAKES | Kind.REMOVES | Kind.SYNCS, errno.EIO),
    Fault("short writes and reads from here on", Action.HALF, Kind.WRITES | Kind.READS, lasting=True, harmless=True),
    Fault("slow fsync", Action.SLOW, Kind.SYNCS, harmless=True),
)


def faults(stage: Stage, every: int = 1, offset: int = 0) -> Iterator[Outcome]:
    """The outcome of each fault at each call that it can befall, or of every so-many-th."""
    calls = [call for call in stage.rehearse() if call.name != "mark"]
    points = [(fault, call) for fault in FAULTS for call in calls if call.kind & fault.met]
    for fault, call in points[offset::every]:
        yield _try(stage, fault, call)


def _try(stage: Stage, fault: Fault, call: Call) -> Outcome:
    stage.reset()
    last = FOR_EVER if fault.lasting else call.number

    def arm() -> None:
        preload.arm(call.number, last, fault.action, error=fault.error, kinds=fault.met, delay_ms=20)

    told, status = stage.perform(arm, around=lambda tell: _until_it_fails(stage, tell))
    problem = ""
    if status:
        problem = f"it ended with status {status}, having told {told}"
    elif fault.harmless and told[-1] != "ended":
        problem = f"it did not end well: {told}"
    else:
        promised = [line for line in told if line != "ended" and not line.startswith("error ")]
        problem = problem_of(lambda: stage.story.endings[0](stage.world, promised))
    return Outcome(stage.story.name, call.number, stage.describe(call), fault.name, problem)


def _until_it_fails(stage: Stage, tell: Tell) -> None:
    """Play; an error must have a name, and afterwards the same process saves again."""
    LIVE.clear()
    try:
        stage.story.play(stage.world, tell)
    except SojournError as error:
        met = error
    else:
        preload.disarm()
        tell("ended")
        return
    preload.disarm()
    tell(f"error {type(met).__name__} {met.message}")
    cause = met.__cause__
    assert not isinstance(cause, OSError) or os.strerror(cause.errno or 0) in met.message
    if LIVE:
        _save_again(LIVE[-1])


def _save_again(log: RunLog) -> None:
    """The attempt that met the fault goes on with the log that it has open."""
    state = log.refresh()
    if state.fence or not state.attempt:
        return
    assert log.begin_attempt(state.attempt_id) == state.term
    commit_step(log, _SAVED_AFTERWARDS)
    assert_holds(RunLog.open(log.store, log.prefix), _SAVED_AFTERWARDS)


if __name__ == "__main__":
    command(faults, __doc__)
