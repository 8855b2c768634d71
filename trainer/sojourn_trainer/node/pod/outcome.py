"""How an attempt ended, in the words of its status and in the exit code of its head. Pure, but for the last words."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from sojourn import events

# An Indexed Job is complete when index 0 ends with 0, also while it is being evicted: then the code is another one.
EVICTED = 143
_REASONS = {"Fenced": "OwnedElsewhere", "StoreError": "StoreFailed", "": "Failed"}


@dataclass(frozen=True, slots=True)
class End:
    """An attempt's end: status.phase, the head's exit code, status.outcome.reason."""

    phase: str
    exit_code: int
    reason: str


def judge(code: int, failure: events.Failed | None, *, asked: bool, signalled: bool) -> End:
    """What the supervisor's exit code means for the attempt.

    Args:
        code: 0 complete, 3 stopped with everything committed, others as in docs/reference/exit-codes.md.
        failure: what was said about it, if it is a failure.
        asked: spec.stop asked for the end.
        signalled: the pod was told to end.
    """
    if code == 0:
        return End("Succeeded", 0, "Completed")
    if code == 3:
        return End("Suspended", 0, "Stopped") if asked else End("Suspended", EVICTED, "Evicted")
    kind = failure.reason if failure is not None else ""
    if kind == "NotCommitted" and signalled:
        return End("Suspended", EVICTED, kind)
    return End("Failed", code, _REASONS.get(kind, kind))


def leave_last_words(end: End, failure: events.Failed | None, file: Path) -> None:
    """Write the failure where the kubelet looks for a container's last words."""
    if failure is None or end.phase != "Failed" or not file.exists():
        return
    with contextlib.suppress(OSError):
        file.write_text("\n".join(filter(None, (failure.message, failure.hint)))[:4096])
