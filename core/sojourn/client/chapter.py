"""One run of a history."""

from __future__ import annotations

from dataclasses import dataclass

from sojourn.runlog.entries import Entry
from sojourn.runlog.state import RunState


@dataclass(frozen=True, slots=True)
class Chapter:
    """What is known of the run.

    Args:
        store: address of its store.
        prefix: its folder in the store.
        run_id: its id.
        state: what its log amounts to; None where the log cannot be read from here.
        entries: its newest entries, oldest first.
        omitted: how many older entries are left out.
        problem: why its log cannot be read, or "".
    """

    store: str
    prefix: str
    run_id: str
    state: RunState | None = None
    entries: tuple[Entry, ...] = ()
    omitted: int = 0
    problem: str = ""
