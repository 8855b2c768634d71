"""What the operator asks of a cluster's API server, apart from how it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sojourn.errors import SojournError
from sojourn_operator.runtime.objects import Object, Resource

Propagation = Literal["Background", "Foreground", "Orphan"]


class ClusterError(SojournError):
    """The API server refused a request, or could not be reached."""


class AlreadyExists(ClusterError):
    """An object of that name is there."""


class Conflict(ClusterError):
    """The object is no longer the one that the request was based on."""


class Missing(ClusterError):
    """The object, its namespace or its kind does not exist."""


class Forbidden(ClusterError):
    """The credentials do not allow the request."""


class Unauthorized(Forbidden):
    """The credentials are not, or no longer, accepted at all."""


class Invalid(ClusterError):
    """The object does not obey its schema, a quota or an admission policy."""


class Throttled(ClusterError):
    """The API server asks to come back later."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ClusterError):
    """The API server could not be reached, or answered that it cannot serve now."""


class Expired(ClusterError):
    """The resource version of a watch is too old: list again."""


@dataclass(frozen=True, slots=True)
class Page:
    """The answer of a list: all objects, and the version to watch from."""

    items: Sequence[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch. A BOOKMARK carries nothing but a newer resource version."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class ClusterPort(Protocol):
    """One cluster's API. Every method may raise ClusterError; those named are what callers handle."""

    @property
    def name(self) -> str:
        """ "" for the operator's own cluster, else the RemoteCluster's name."""
        ...

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object as the API server holds it now, or None."""
        ...

    def list(self, resource: Resource, namespace: str = "", labels: str = "") -> Page:
        """All objects, of one namespace or ("") of all, that a label selector matches."""
        ...

    def watch(
        self, resource: Resource, resource_version: str, namespace: str = "", labels: str = ""
    ) -> Iterator[Change]:
        """Changes since `resource_version`, until the server or a read timeout ends the stream.

        Raises:
            Expired: list again.
        """
        ...

    def create(self, obj: Object) -> Object:
        """Make an object.

        Raises:
            AlreadyExists: one of that name is there.
        """
        ...

    def name_is_free(self, obj: Object) -> bool:
        """Whether a create of this object would make it, found out by a create that is not carried out.

        It takes the right to create, and none to read: so it tells whether a Secret is there without its content.
        """
        ...

    def apply(self, obj: Object) -> Object:
        """Server-side apply with the operator's field manager, forced."""
        ...

    def patch(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        """JSON merge patch. A metadata.resourceVersion in it makes it conditional.

        Raises:
            Conflict: the object has changed since that version.
            Missing: it is gone.
        """
        ...

    def patch_status(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        """The same for the status subresource."""
        ...

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        """Ask for deletion; an object that is gone, or has another uid, is left alone without an error."""
        ...

    def version(self) -> str:
        """The version of Kubernetes, as "v1.35.4"."""
        ...
