"""A limit on bytes per second that several threads share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_BURST_SECONDS = 0.1


class Throttle:
    """Lets `rate` bytes pass per second, after a tenth of a second's worth at once; any number with `rate` 0."""

    def __init__(
        self,
        rate: float = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    @property
    def slice_bytes(self) -> int:
        """How many bytes to ask for at a time, so that they flow evenly."""
        return min(1 << 20, max(16 << 10, int(self._rate * _BURST_SECONDS))) if self._rate else 1 << 20

    def take(self, count: int) -> None:
        """Wait until `count` bytes may pass."""
        if not self._rate:
            return
        with self._lock:
            now = self._clock()
            # Time that nobody used is lost but for a short burst.
            start = max(self._free_at, now - _BURST_SECONDS)
            self._free_at = start + count / self._rate
            wait = self._free_at - now
        if wait > 0:
            self._sleep(wait)
