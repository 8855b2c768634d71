"""Leader election by a Lease: of several replicas one acts, and it exits when it can no longer be sure of it.

A Lease is no fence: two leaders can overlap for a moment. What must happen once is decided by resource versions,
names and the run's log, never by this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

from sojourn_operator.runtime.clock import Clock, rfc3339_micro
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import AlreadyExists, ClusterError, ClusterPort, Conflict, Missing

_LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Term:
    """How long a silent leader stays leader, how long one goes on that cannot renew, how often it renews; seconds."""

    lease: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


class Elector:
    """One candidate.

    Args:
        identity: names this process among all candidates, also after its restart.
        place: namespace and name of the Lease.
        annotations: what the leader says about itself there.
    """

    def __init__(
        self,
        port: ClusterPort,
        place: tuple[str, str],
        identity: str,
        clock: Clock,
        term: Term,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        self._port = port
        self._namespace, self._name = place
        self._identity = identity
        self._clock = clock
        self._annotations = dict(annotations or {})
        self._term = term
        # Other clocks are not trusted: a leader is silent when we have seen no change of its Lease for so long.
        self._seen: tuple[str, float] = ("", 0.0)

    def acquire(self, stop: Event) -> bool:
        """Wait until this candidate leads; False if `stop` came first."""
        while not stop.is_set():
            try:
                if self.try_once():
                    return True
            except ClusterError as error:
                _log.warning("the Lease cannot be read or written", extra={"error": str(error)})
            stop.wait(self._term.retry)
        return False

    def hold(self, stop: Event) -> bool:
        """Keep leading until `stop`; False if leadership was lost."""
        renewed = self._clock.monotonic()
        while not stop.wait(self._term.retry):
            try:
                if not self.try_once():
                    return False
                renewed = self._clock.monotonic()
            except ClusterError as error:
                _log.warning("the Lease cannot be renewed", extra={"error": str(error)})
                if self._clock.monotonic() - renewed >= self._term.renew_deadline:
                    return False
        return True

    def release(self) -> None:
        """Let the next candidate lead at once."""
        try:
            lease = self._port.get(_LEASES, self._namespace, self._name)
            if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                self._write(lease, {"holderIdentity": None, "leaseDurationSeconds": 1})
        except ClusterError as error:
            _log.warning("the Lease is left to expire", extra={"error": str(error)})

    def try_once(self) -> bool:
        """Take, keep or watch the Lease; whether this candidate leads now."""
        lease = self._port.get(_LEASES, self._namespace, self._name)
        now = rfc3339_micro(self._clock.now())
        mine = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._term.lease)),
            "renewTime": now,
        }
        try:
            if lease is None:
                metadata = {
                    "name": self._name,
                    "namespace": self._namespace,
                    "annotations": self._annotations,
                }
                spec = {**mine, "acquireTime": now, "leaseTransitions": 0}
                self._port.create(
                    {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
                )
                return True
            holder = lease["spec"].get("holderIdentity")
            if holder == self._identity:
                self._write(lease, mine)
                return True
            if holder and not self._is_silent(lease):
                return False
            transitions = lease["spec"].get("leaseTransitions", 0) + 1
            self._write(lease, {**mine, "acquireTime": now, "leaseTransitions": transitions})
        except (AlreadyExists, Conflict, Missing):
            return False  # another candidate was faster
        return True

    def _write(self, lease: Object, spec: dict[str, Any]) -> None:
        metadata = {"resourceVersion": lease["metadata"]["resourceVersion"], "annotations": self._annotations}
        self._port.patch(_LEASES, self._namespace, self._name, {"metadata": metadata, "spec": spec})

    def _is_silent(self, lease: Object) -> bool:
        version = lease["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, self._clock.monotonic())
        seconds = max(self._term.lease, float(lease["spec"].get("leaseDurationSeconds", 0)))
        return self._clock.monotonic() - self._seen[1] >= seconds
