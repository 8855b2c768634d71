"""Writes an object's status: only what differs, and what merely progresses not too often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from threading import Lock
from typing import Any

from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.mergepatch import merge_patch_between
from sojourn_operator.runtime.objects import Object, Resource, uid_of
from sojourn_operator.runtime.port import ClusterPort

REMEMBERED = 10_000


class StatusWriter:
    """Remembers when it last wrote, for the sake of pace alone: forgetting costs one write too many.

    Args:
        slow_seconds: how often progress reaches the status; everything else is written at once.
        slow_rate: how many writes of progress a second there may be, of all objects together. More would only keep
            what matters waiting.
    """

    def __init__(self, port: ClusterPort, clock: Clock, slow_seconds: float = 10.0, slow_rate: float = 20.0) -> None:
        self._port = port
        self._clock = clock
        self._slow_seconds = slow_seconds
        self._slow_gap = 1.0 / slow_rate
        self._lock = Lock()
        self._written: OrderedDict[str, float] = OrderedDict()
        # When the progress of an object may be written, where many wait; and when that of the next one may.
        self._turns: OrderedDict[str, float] = OrderedDict()
        self._next_turn = clock.monotonic()

    def write(
        self, resource: Resource, about: Object, status: Mapping[str, Any], slow: Collection[str], version: str
    ) -> tuple[Object | None, float | None]:
        """Make `about`'s status this one, if it is still at `version`.

        Returns:
            The object as written, None if it was not, and after how many seconds held-back progress may be written.

        Raises:
            Conflict: the object has changed since; read it again.
        """
        patch = merge_patch_between(about.get("status", {}), status)
        if not patch:
            return None, None
        if slow and set(patch) <= set(slow) and (wait := self._wait(uid_of(about))) > 0:
            return None, wait
        metadata = about["metadata"]
        written = self._port.patch_status(
            resource,
            metadata.get("namespace", ""),
            metadata["name"],
            {"metadata": {"resourceVersion": version}, "status": patch},
        )
        self._note(uid_of(about))
        return written, None

    def _wait(self, uid: str) -> float:
        """Seconds until progress of an object may be written; 0 is its turn, which it takes."""
        now = self._clock.monotonic()
        with self._lock:
            last = self._written.get(uid)
            if last is not None and (wait := last + self._slow_seconds - now) > 0:
                return wait
            turn = self._turns.get(uid)
            if turn is None:
                turn = max(self._next_turn, now)
                self._next_turn = turn + self._slow_gap
                self._turns[uid] = turn
                if len(self._turns) > REMEMBERED:
                    self._turns.popitem(last=False)
            return max(turn - now, 0.0)

    def _note(self, uid: str) -> None:
        with self._lock:
            self._turns.pop(uid, None)
            self._written[uid] = self._clock.monotonic()
            self._written.move_to_end(uid)
            while len(self._written) > REMEMBERED:
                self._written.popitem(last=False)
