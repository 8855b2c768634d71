"""Kubernetes Events. The same about the same object is one Event with a count, also after a restart."""

from __future__ import annotations

import logging
from collections import OrderedDict
from hashlib import sha256
from threading import Lock
from typing import Any, Literal

from sojourn_operator.runtime.clock import Clock, rfc3339
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import AlreadyExists, ClusterError, ClusterPort, Missing

# In the core group and not events.k8s.io: there an Event cannot be counted up by a patch of its own name.
_EVENTS = Resource("", "v1", "events", "Event")
_MAX_MESSAGE = 1024
_REMEMBERED = 4096
_log = logging.getLogger(__name__)

EventType = Literal["Normal", "Warning"]


class EventRecorder:
    """Tells people what happened. A cluster that takes no Events changes nothing else.

    Args:
        quiet_seconds: within this time the same is not written again.
    """

    def __init__(self, port: ClusterPort, clock: Clock, component: str, quiet_seconds: float = 30.0) -> None:
        self._port = port
        self._clock = clock
        self._component = component
        self._quiet_seconds = quiet_seconds
        self._lock = Lock()
        self._told: OrderedDict[str, float] = OrderedDict()

    def tell(self, about: Object, kind: EventType, reason: str, message: str) -> None:
        """Write an Event, or count up the one that says the same."""
        event = self._event(about, kind, reason, message)
        name = event["metadata"]["name"]
        if self._is_fresh(name):
            return
        try:
            self._write(event)
        except ClusterError as error:
            _log.warning("event not written", extra={"reason": reason, "object": name, "error": str(error)})

    def _write(self, event: dict[str, Any]) -> None:
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        try:
            self._port.create(event)
        except AlreadyExists:
            old = self._port.get(_EVENTS, namespace, name) or {}
            again = {"count": old.get("count", 1) + 1, "lastTimestamp": event["lastTimestamp"]}
            try:
                self._port.patch(_EVENTS, namespace, name, again)
            except Missing:
                return  # it expired in between: nobody misses a count

    def _is_fresh(self, name: str) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            last = self._told.get(name)
            if last is not None and now - last < self._quiet_seconds:
                return True
            self._told[name] = now
            self._told.move_to_end(name)
            while len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
        return False

    def _event(self, about: Object, kind: EventType, reason: str, message: str) -> dict[str, Any]:
        metadata = about["metadata"]
        now = rfc3339(self._clock.now())
        digest = sha256("\0".join((metadata["uid"], kind, reason, message)).encode()).hexdigest()[:16]
        # Events about objects of the whole cluster live in `default`, where kubectl looks for them.
        namespace = metadata.get("namespace") or "default"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name'][:230]}.{digest}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata["uid"],
            },
            "type": kind,
            "reason": reason,
            "message": message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…",
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
