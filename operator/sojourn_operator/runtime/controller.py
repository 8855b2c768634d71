"""A controller: which objects name keys, and what is done about a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from sojourn_operator.runtime.objects import Key, Object, Resource

EVERY_REMOTE = "*"


@dataclass(frozen=True, slots=True)
class Watch:
    """A kind to watch, and the keys of the controller's own kind that a change of such an object concerns.

    `cluster` is "" for the operator's own, EVERY_REMOTE for each RemoteCluster. An `optional` kind need not be
    installed. Two that watch a kind by different labels share one informer without a selector.
    """

    resource: Resource
    keys: Callable[[Object], Iterable[Key]]
    labels: str = ""
    cluster: str = ""
    optional: bool = False


class Controller(Protocol):
    """One per kind. Between two calls of `reconcile` it remembers nothing but what the API server holds."""

    @property
    def name(self) -> str:
        """Lower-case kind, for metrics and logs."""
        ...

    @property
    def watches(self) -> tuple[Watch, ...]:
        """Its own kind first."""
        ...

    def reconcile(self, key: Key) -> float | None:
        """Bring the world nearer to what the object asks for; seconds after which to look again, or None.

        Raises:
            ClusterError: the key is tried again with backoff.
        """
        ...
