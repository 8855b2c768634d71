"""A cluster as reconcilers see it: reads from informers, writes through the port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sojourn_operator.runtime.events import EventRecorder
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import ClusterPort
from sojourn_operator.runtime.status import StatusWriter


class Lister(Protocol):
    """Objects of one kind as an informer last saw them: at most a moment old, and free of requests."""

    def get(self, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        ...

    def list(self, namespace: str = "", labels: Mapping[str, str] | None = None) -> Sequence[Object]:
        """Objects, of one namespace or ("") of all, that carry all these labels."""
        ...

    def owned_by(self, owner_uid: str) -> Sequence[Object]:
        """Objects with an ownerReference to this uid."""
        ...


class Caches(Protocol):
    """The informers of one cluster."""

    def cached(self, resource: Resource) -> Lister:
        """The informer's store of a kind that some controller watches.

        Raises:
            KeyError: nobody watches it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a reconciler holds of a cluster."""

    port: ClusterPort
    caches: Caches
    events: EventRecorder
    statuses: StatusWriter

    @property
    def name(self) -> str:
        """ "" for the operator's own cluster, else the RemoteCluster's name."""
        return self.port.name

    def cached(self, resource: Resource) -> Lister:
        """The informer's store of a kind that some controller watches.

        Raises:
            KeyError: nobody watches it.
        """
        return self.caches.cached(resource)


class Remotes(Protocol):
    """The clusters behind RemoteClusters that are connected now."""

    def get(self, name: str) -> Cluster | None:
        """The connected cluster of this name, or None."""
        ...
