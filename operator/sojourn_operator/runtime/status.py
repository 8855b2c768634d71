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
    """

    def __init__(self, port: ClusterPort, clock: Clock, slow_seconds: float = 10.0) -> None:
        self._port = port
        self._clock = clock
        self._slow_seconds = slow_seconds
        self._lock = Lock()
        self._written: OrderedDict[str, float] = OrderedDict()

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
        with self._lock:
            last = self._written.get(uid)
        return 0.0 if last is None else last + self._slow_seconds - self._clock.monotonic()

    def _note(self, uid: str) -> None:
        with self._lock:
            self._written[uid] = self._clock.monotonic()
            self._written.move_to_end(uid)
            while len(self._written) > REMEMBERED:
                self._written.popitem(last=False)
