"""A queue of keys: each at most once in line, at most once in work, and again later after a failure."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Condition
from typing import Generic, TypeVar

from sojourn_operator.runtime.clock import Clock

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds after the first failure, and the most after many; each failure doubles."""

    first: float = 0.5
    cap: float = 120.0

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        # 2 ** 30 seconds are beyond every cap, and a float of 2 ** 2000 overflows.
        return min(self.first * 2.0 ** min(failures - 1, 30), self.cap)


class KeyedQueue(Generic[K]):
    """Level-triggered work: a key that changes while it is in work is worked on once more afterwards."""

    def __init__(self, clock: Clock, backoff: Backoff) -> None:
        self._clock = clock
        self._backoff = backoff
        self._ready = Condition()
        self._line: deque[K] = deque()
        self._waiting: dict[K, float] = {}
        self._in_work: set[K] = set()
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._order = 0
        self._failures: dict[K, int] = {}
        self._closed = False

    def add(self, key: K) -> None:
        """Ask for work on a key now."""
        with self._ready:
            self._add(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for work on a key in a while; an earlier wish for the same key stands."""
        if seconds <= 0:
            return self.add(key)
        with self._ready:
            due = self._clock.monotonic() + seconds
            if self._due.get(key, due + 1) > due:
                self._due[key] = due
                self._order += 1
                heapq.heappush(self._later, (due, self._order, key))
                self._ready.notify()
        return None

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Ask again after a failure; returns the seconds that it will wait."""
        with self._ready:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
        wait = max(self._backoff.after(failures), at_least)
        self.add_after(key, wait)
        return wait

    def forget(self, key: K) -> None:
        """The key's work succeeded: its next failure is its first."""
        with self._ready:
            self._failures.pop(key, None)

    def take(self, timeout: float = 0.0) -> tuple[K, float] | None:
        """The next key and the seconds it stood in line; None if there is none in time or the queue is closed."""
        deadline = self._clock.monotonic() + timeout
        with self._ready:
            while True:
                now = self._clock.monotonic()
                self._promote(now)
                if self._closed:
                    return None
                if self._line:
                    key = self._line.popleft()
                    self._in_work.add(key)
                    return key, now - self._waiting.pop(key)
                if now >= deadline:
                    return None
                wake = min(deadline, self._later[0][0]) if self._later else deadline
                self._ready.wait(max(wake - now, 0.0))

    def done(self, key: K) -> None:
        """The work on a key has ended, however."""
        with self._ready:
            self._in_work.discard(key)
            if key in self._waiting:
                self._line.append(key)
                self._ready.notify()

    def close(self) -> None:
        """Wake everybody who waits, and give out nothing more."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def next_due(self) -> float | None:
        """When, on the monotonic clock, the next delayed key is due; None if none is."""
        with self._ready:
            return min(self._due.values(), default=None)

    def __len__(self) -> int:
        """Keys that wait for a worker now."""
        with self._ready:
            return len(self._waiting)

    def _add(self, key: K) -> None:
        self._due.pop(key, None)
        if key in self._waiting:
            return
        self._waiting[key] = self._clock.monotonic()
        if key not in self._in_work:
            self._line.append(key)
            self._ready.notify()

    def _promote(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            # A wish that was overtaken by an earlier one, or by an event, is void.
            if self._due.get(key) == due:
                self._add(key)
