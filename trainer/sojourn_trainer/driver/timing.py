"""The clocks and the sleep that the driver uses, so that tests can pass their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clocks:
    """Wall: seconds since the Unix epoch, for people. Monotonic: seconds, for durations."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
