"""Keeps a copy of one kind of objects up to date by list and watch, and tells who listens what changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.indexer import Indexer, slim
from sojourn_operator.runtime.objects import Object, Resource, key_of
from sojourn_operator.runtime.port import ClusterError, ClusterPort, Expired, Forbidden, Missing, Throttled
from sojourn_operator.runtime.queue import Backoff

Listener = Callable[[Object], None]
_LOOK_AGAIN_SECONDS = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects to watch. Of an `optional` kind that is not installed, or not ours to see, there are none."""

    resource: Resource
    namespace: str = ""
    labels: str = ""
    optional: bool = False


class Informer:
    """One per cluster, kind and namespace, shared by all controllers that watch it.

    Listeners get every object that was added, changed or deleted, and all of them again at each resync: they only
    name keys, so an object too many costs nothing and a missed one is made good.

    Args:
        cache: where to keep the objects; informers of several namespaces may share one.
    """

    def __init__(
        self, port: ClusterPort, scope: Scope, clock: Clock, cache: Indexer, resync_seconds: float = 600.0
    ) -> None:
        self.scope = scope
        self.cache = cache
        self._port = port
        self._clock = clock
        self._resync_seconds = resync_seconds
        self._listeners: list[Listener] = []
        self._version: str | None = None
        self._resynced = clock.monotonic()
        self._synced = Event()

    @property
    def is_synced(self) -> bool:
        """Whether the first list is in the cache."""
        return self._synced.is_set()

    def wait_for_sync(self, seconds: float) -> bool:
        """Wait for the first list; whether it came in time."""
        return self._synced.wait(seconds)

    def listen(self, listener: Listener) -> None:
        """Have `listener` called with every object that changes, from the informer's thread. Before the first sync."""
        self._listeners.append(listener)

    def sync(self) -> None:
        """List, and tell what differs from the cache, also what was deleted meanwhile."""
        scope = self.scope
        page = self._port.list(scope.resource, scope.namespace, scope.labels)
        gone = self.cache.keys(scope.namespace) - {key_of(obj) for obj in page.items}
        for obj in page.items:
            slimmed = slim(obj)
            old = self.cache.put(slimmed)
            if old is None or old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._tell(slimmed)
        for key in gone:
            if (last := self.cache.remove(key)) is not None:
                self._tell(last)
        self._version = page.resource_version
        self._synced.set()

    def follow(self) -> None:
        """Take in changes until the server or a time limit ends the watch; the next one goes on there.

        Raises:
            Expired: the past is gone; the next call lists again.
        """
        if self._version is None:
            self.sync()
        assert self._version is not None
        scope = self.scope
        try:
            for change in self._port.watch(scope.resource, self._version, scope.namespace, scope.labels):
                if change.type == "DELETED":
                    self.cache.remove(key_of(change.object))
                    self._tell(slim(change.object))
                elif change.type != "BOOKMARK":
                    slimmed = slim(change.object)
                    self.cache.put(slimmed)
                    self._tell(slimmed)
                self._version = change.object["metadata"]["resourceVersion"]
        except Expired:
            self._version = None
            raise
        if self._clock.monotonic() - self._resynced >= self._resync_seconds:
            self.resync()

    def resync(self) -> None:
        """Tell all objects again, from the cache."""
        self._resynced = self._clock.monotonic()
        for obj in self.cache.list():
            self._tell(obj)

    def run(self, stop: Event, backoff: Backoff) -> None:
        """Sync and follow until `stop`; errors are logged and waited out."""
        failures = 0
        while not stop.is_set():
            try:
                self.follow()
                failures = 0
            except ClusterError as error:
                # Whoever may not look at a kind does not use it.
                if self.scope.optional and isinstance(error, Missing | Forbidden):
                    self._synced.set()
                    stop.wait(_LOOK_AGAIN_SECONDS)
                    continue
                failures += 1
                level = logging.INFO if isinstance(error, Expired) else logging.WARNING
                wait = backoff.after(failures)
                if isinstance(error, Throttled):
                    wait = max(wait, error.retry_after)
                _log.log(
                    level,
                    "watch failed",
                    extra={
                        "cluster": self._port.name,
                        "resource": self.scope.resource.plural,
                        "error": str(error),
                        "retry_seconds": round(wait, 1),
                    },
                )
                stop.wait(wait)

    def _tell(self, obj: Object) -> None:
        for listener in self._listeners:
            listener(obj)
