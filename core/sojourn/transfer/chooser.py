"""Whether coding a chunk pays, decided by what it took so far: link, both codecs, both disks and whatever else."""

from __future__ import annotations

import threading
from typing import Literal

Way = Literal["plain", "alone", "delta"]
"""How a chunk is asked for: as it is, coded by itself, or coded against an older one."""

_WEIGHT = 0.25
_FIRST: dict[Way, int] = {"plain": 2, "alone": 8, "delta": 8}
_AGAIN = 16
_RARELY = 64
_FAR = 2.0


class Chooser:
    """Compares seconds per byte of state. Threads may share it.

    Most links are slower than the codec, so the first eight chunks are coded, and two plain. Then the faster way is
    taken, and the other one tried again every sixteenth time, or every 64th where it takes more than twice as long,
    because links and machines change.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rates: dict[Way, float] = {}
        self._asked: dict[Way, int] = {}
        self._since: dict[Way, int] = {}

    def choose(self, coded: Way) -> Way:
        """`coded` or "plain"."""
        with self._lock:
            way = self._choose(coded)
            self._asked[way] = self._asked.get(way, 0) + 1
            ways: tuple[Way, Way] = (coded, "plain")
            for other in ways:
                self._since[other] = 0 if other == way else self._since.get(other, 0) + 1
            return way

    def record(self, way: Way, count: int, seconds: float) -> None:
        """A chunk of `count` bytes took so long from the request until it was there, decoded and verified."""
        rate = seconds / max(1, count)
        with self._lock:
            known = self._rates.get(way)
            self._rates[way] = rate if known is None else known + _WEIGHT * (rate - known)

    def _choose(self, coded: Way) -> Way:
        plain: Way = "plain"
        for way in (coded, plain):
            if self._asked.get(way, 0) < _FIRST[way]:
                return way
        # While the first answers are awaited, smaller ones do less harm.
        fast, slow = self._rates.get(coded), self._rates.get("plain")
        if fast is None or slow is None:
            return coded
        better, worse = (coded, plain) if fast <= slow else (plain, coded)
        far = max(fast, slow) > _FAR * min(fast, slow)
        return worse if self._since.get(worse, 0) >= (_RARELY if far else _AGAIN) else better
