"""How fast requests may go: a token bucket that also stands still when the server says so."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from sojourn_operator.runtime.clock import Clock


class RateLimiter:
    """Shared by all threads that speak to one API server.

    Args:
        rate: requests per second on average.
        burst: requests at once after a quiet time.
        sleep: waits so many seconds.
    """

    def __init__(self, rate: float, burst: int, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._tokens = float(burst)
        self._filled = clock.monotonic()
        self._closed_until = self._filled

    def wait(self) -> None:
        """Return when one more request may go."""
        if (seconds := self._reserve()) > 0:
            self._sleep(seconds)

    def hold(self, seconds: float) -> None:
        """Let no request go for so long."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)

    def _reserve(self) -> float:
        with self._lock:
            now = self._clock.monotonic()
            self._tokens = min(self._tokens + (now - self._filled) * self._rate, float(self._burst)) - 1.0
            self._filled = now
            return max(-self._tokens / self._rate, self._closed_until - now, 0.0)
