"""What the log takes from outside: clock, ids, sleep. Tests pass their own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Env:
    """Surroundings of a log.

    Args:
        now: the time in UTC, for people to read and for the expiry of pins; ownership never depends on it.
        new_id: ids that nobody else makes, for runs and nonces.
        sleep: waits between repeated requests, in seconds.
        tries: how often an entry is asked for before an unreachable store is reported.
    """

    now: Callable[[], datetime] = _now
    new_id: Callable[[], str] = _new_id
    sleep: Callable[[float], None] = time.sleep
    tries: int = 8
