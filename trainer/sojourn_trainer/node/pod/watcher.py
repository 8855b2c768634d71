"""Turns what the operator and other pods write into the attempt's object into calls, each request once."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import Any, Protocol

from sojourn.incluster import ObjectClient, follow
from sojourn_trainer.node.pod.evictions import evicted_pods

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Whoever acts on requests. Calls come from the watcher's thread."""

    def run_given(self, found: dict[str, Any]) -> None: ...

    def stop_asked(self, token: str, reason: str) -> None: ...

    def checkpoint_asked(self, token: str) -> None: ...

    def pod_leaving(self, pod: str) -> None: ...


@dataclass
class Requests:
    """Tells requests that are new from those that were acted on, also by an earlier pod of the attempt."""

    _stop: str = ""
    _checkpoint: str = ""
    _leaving: set[str] = field(default_factory=set)

    def tell(self, found: dict[str, Any], listener: Listener) -> None:
        """Pass on what is new in a state of the object."""
        spec, status = found.get("spec", {}), found.get("status", {})
        if not spec.get("standby"):
            listener.run_given(found)
        stop = spec.get("stop") or {}
        token = stop.get("token", "")
        if token not in ("", self._stop, (status.get("stopped") or {}).get("token")):
            self._stop = token
            listener.stop_asked(token, stop.get("reason", "Suspend"))
        token = spec.get("checkpointRequest") or ""
        if token not in ("", self._checkpoint, (status.get("checkpointRequest") or {}).get("token")):
            self._checkpoint = token
            listener.checkpoint_asked(token)
        waiting = set(evicted_pods(found))
        for pod in sorted(waiting - self._leaving):
            listener.pod_leaving(pod)
        self._leaving = waiting


class Watcher:
    """Follows the object in a thread of its own, through outages of the API server."""

    def __init__(self, client: ObjectClient, listener: Listener) -> None:
        self._client = client
        self._listener = listener
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Pass nothing on any more."""
        self._ended.set()

    def _run(self) -> None:
        requests = Requests()
        for found in follow(self._client, self._ended):
            if self._ended.is_set():
                return
            requests.tell(found, self._listener)
