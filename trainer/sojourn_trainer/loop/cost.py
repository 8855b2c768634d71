"""Measures what a save costs training: how long it stood still, and by how much the steps beside it took longer."""

from __future__ import annotations

import statistics
from collections import deque

from sojourn_trainer.checkpointing.interval import SaveCost

STEPS_AFTER = 5
_BASELINE_STEPS = 50


class CostMeter:
    """Fed with the duration of every step, on one worker: steps are synchronous, so the slowest shows on all."""

    def __init__(self) -> None:
        self._undisturbed: deque[float] = deque(maxlen=_BASELINE_STEPS)
        self._traced = False
        self._blocked: float | None = None
        self._beside: list[float] = []

    def restart(self) -> None:
        """The next step is traced anew, so its duration says nothing; a measurement that is open is dropped."""
        self._traced = False
        self._blocked = None

    def saved(self, blocked: float) -> None:
        """A save has begun, for which training stood still for so many seconds."""
        self._blocked, self._beside = blocked, []

    def step(self, seconds: float, *, saving: bool, write: float | None) -> SaveCost | None:
        """A step is done.

        Args:
            seconds: its duration, apart from what else happens between two steps.
            saving: whether a save is still under way.
            write: seconds from boundary to commit of the newest save; None if it failed, or is under way.

        Returns:
            What the newest save cost, once: when it is over and so are the steps that it can have delayed.
        """
        if not self._traced:
            self._traced = True
            return None
        if self._blocked is None:
            self._undisturbed.append(seconds)
            return None
        self._beside.append(seconds)
        if saving or len(self._beside) < STEPS_AFTER:
            return None
        blocked, self._blocked = self._blocked, None
        if write is None:
            return None
        # Where no step ran undisturbed, the least disturbed one is the best that is known.
        usual = statistics.median(self._undisturbed) if self._undisturbed else min(self._beside)
        return SaveCost(blocked, max(0.0, sum(self._beside) - usual * len(self._beside)), write)
