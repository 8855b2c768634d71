"""Measures how fast training goes, over the steps since the last report."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """Samples per second between two reports.

    Args:
        global_batch: samples per step.
        clock: monotonic seconds.
    """

    def __init__(self, global_batch: int, clock: Callable[[], float]) -> None:
        self._global_batch = global_batch
        self._clock = clock
        self._since = clock()
        self._steps = 0
        self.samples_per_second = 0.0

    def step(self) -> None:
        """Count a step; the first one only starts the clock, because it includes tracing."""
        if self.samples_per_second == 0.0 and self._steps == 0:
            self._since = self._clock()
        self._steps += 1

    def due(self, seconds: float) -> bool:
        """Whether `seconds` have passed since the last report; if so, a new measurement starts."""
        elapsed = self._clock() - self._since
        if elapsed < seconds:
            return False
        self.samples_per_second = self._steps * self._global_batch / elapsed
        self._since, self._steps = self._clock(), 0
        return True
