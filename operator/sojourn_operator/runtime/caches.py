"""The informers of one cluster, shared by the controllers that watch the same kinds."""

from __future__ import annotations

from collections.abc import Sequence

from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.cluster import Lister
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.indexer import Indexer, slim
from sojourn_operator.runtime.informer import Informer, Listener, Scope
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import ClusterPort


class ClusterCaches:
    """One cache per kind that somebody watches, filled by an informer per namespace.

    Args:
        namespaces: those to look into; none means all.
    """

    def __init__(
        self, port: ClusterPort, clock: Clock, namespaces: Sequence[str] = (), resync_seconds: float = 600.0
    ) -> None:
        self.informers: list[Informer] = []
        self._port = port
        self._clock = clock
        self._namespaces = namespaces or ("",)
        self._resync_seconds = resync_seconds
        self._subscriptions: list[tuple[Watch, Listener]] = []
        self._caches: dict[Resource, Indexer] = {}

    def subscribe(self, watch: Watch, listener: Listener) -> None:
        """Have `listener` called with changed objects; before `build`."""
        self._subscriptions.append((watch, listener))

    def build(self) -> None:
        """Make the informers, once all subscriptions are known."""
        for resource in dict.fromkeys(watch.resource for watch, _ in self._subscriptions):
            concerned = [(watch, listener) for watch, listener in self._subscriptions if watch.resource == resource]
            selectors = {watch.labels for watch, _ in concerned}
            cache = self._caches[resource] = Indexer()
            for namespace in self._namespaces if resource.namespaced else ("",):
                scope = Scope(
                    resource,
                    namespace,
                    labels=selectors.copy().pop() if len(selectors) == 1 else "",
                    optional=all(watch.optional for watch, _ in concerned),
                )
                informer = Informer(self._port, scope, self._clock, cache, self._resync_seconds)
                for _, listener in concerned:
                    informer.listen(listener)
                self.informers.append(informer)

    def cached(self, resource: Resource) -> Lister:
        """The cache of a kind.

        Raises:
            KeyError: no controller watches it, or nothing has been started yet.
        """
        return self._caches[resource]

    def succeed(self, resource: Resource, version: str, obj: Object) -> None:
        """Know at once what a write has made of the object at `version`, before the watch tells.

        Else an event about something else, on its way meanwhile, leads to the same write again, and to a conflict.
        """
        if (cache := self._caches.get(resource)) is not None:
            cache.succeed(version, slim(obj))

    def sizes(self) -> dict[str, int]:
        """How many objects are held, by plural of their kind."""
        return {resource.plural: len(cache) for resource, cache in self._caches.items()}
