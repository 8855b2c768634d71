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

    def succeed(self, resource: Resource, version: str, obj: Object) -> None:
        """Know at once what a write has made of the object at `version`."""
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
    """The clusters behind RemoteClusters, as far as somebody has connected them."""

    def connect(self, port: ClusterPort) -> None:
        """Bring in a cluster under its port's name, in place of an earlier one of that name."""
        ...

    def disconnect(self, name: str) -> None:
        """Let go of a cluster."""
        ...

    def port(self, name: str) -> ClusterPort | None:
        """The API of a connected cluster, or None."""
        ...

    def view(self, name: str, namespace: str) -> Cluster | None:
        """A connected cluster seen through one namespace, whose caches are filled; else None.

        The first call begins to watch there, so ask again soon. A credential for that one namespace suffices.
        """
        ...
