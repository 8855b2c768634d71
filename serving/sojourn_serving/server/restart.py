"""How long to wait before a dead replica is started again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Restarts:
    """Backoff that doubles from `first` to `longest` seconds, forgotten after `stable` seconds of good service."""

    first: float = 0.5
    longest: float = 30.0
    stable: float = 60.0

    def delay(self, failures: int) -> float:
        """Seconds before the next start, after `failures` (0, 1, ...) short lives in a row; the first is at once."""
        return 0.0 if failures == 0 else min(self.longest, self.first * 2.0 ** min(failures - 1, 30))

    def failures(self, before: int, served: float | None) -> int:
        """The count after a replica died that was ready for `served` seconds (None: never ready)."""
        return 0 if served is not None and served >= self.stable else before + 1
