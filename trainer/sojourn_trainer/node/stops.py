"""What asks this node to stop: a signal, with a deadline behind it, or whoever runs the job, with patience."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable


class Stops:
    """The first request to stop counts as the reason; a signal adds the deadline.

    Args:
        grace_seconds: between a signal and the moment at which everything should have ended.
    """

    def __init__(self, grace_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.grace_seconds = grace_seconds
        self._clock = clock
        self._signalled_at: float | None = None
        self.reason = ""

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests to stop. Only the main thread may call this."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def ask(self, reason: str) -> None:
        """Ask to stop, without a deadline."""
        self.reason = self.reason or reason

    @property
    def asked(self) -> bool:
        """Whether to stop."""
        return bool(self.reason)

    @property
    def signalled(self) -> bool:
        """Whether a signal came."""
        return self._signalled_at is not None

    @property
    def overdue(self) -> bool:
        """Whether the time after a signal is over."""
        return self._signalled_at is not None and self._clock() - self._signalled_at > self.grace_seconds

    def interrupt(self, reason: str) -> None:
        """Ask to stop, with the deadline of a signal."""
        self._signalled_at = self._signalled_at or self._clock()
        self.ask(reason)

    def _receive(self, number: int, frame: object) -> None:
        self.interrupt(signal.Signals(number).name)
