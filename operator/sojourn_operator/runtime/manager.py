"""Runs controllers on clusters: informers fill caches and queues, workers reconcile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from sojourn_operator.runtime.caches import ClusterCaches
from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.controller import EVERY_REMOTE, Controller
from sojourn_operator.runtime.events import EventRecorder
from sojourn_operator.runtime.informer import Listener
from sojourn_operator.runtime.metrics import Metrics
from sojourn_operator.runtime.objects import Key, Object
from sojourn_operator.runtime.port import ClusterPort
from sojourn_operator.runtime.queue import Backoff
from sojourn_operator.runtime.status import StatusWriter
from sojourn_operator.runtime.work import Work

COMPONENT = "sojourn-operator"
_TAKE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once, and how often."""

    workers: int = 4
    resync_seconds: float = 600.0
    progress_seconds: float = 10.0
    progress_rate: float = 20.0
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True)
class _Member:
    cluster: Cluster
    caches: ClusterCaches
    stop: Event = field(default_factory=Event)
    threads: list[Thread] = field(default_factory=list)


@dataclass(slots=True)
class _Remote:
    port: ClusterPort
    views: dict[str, _Member] = field(default_factory=dict)


class Manager:
    """Controllers, and the clusters they work on: the operator's own, and remote ones that come and go.

    Tests drive its parts (`works`, `informers`) by hand; `start` lets threads do it.

    Args:
        strict: see Work.
    """

    def __init__(self, clock: Clock, metrics: Metrics, pace: Pace | None = None, *, strict: bool = False) -> None:
        self.works: list[Work] = []
        self._clock = clock
        self._metrics = metrics
        self._pace = pace or Pace()
        self._strict = strict
        self._lock = Lock()
        self._remotes: dict[str, _Remote] = {}
        self._stop = Event()
        self._workers: list[Thread] = []
        self._started = False

    def local(self, port: ClusterPort, namespaces: Sequence[str] = ()) -> Cluster:
        """The operator's own cluster, before its controllers are made."""
        self._local = self._member(port, namespaces)
        return self._local.cluster

    def add(self, controller: Controller) -> None:
        """Run a controller; before `build`."""
        work = Work(controller, self._clock, self._metrics, self._pace.backoff, strict=self._strict)
        self.works.append(work)
        for watch in controller.watches:
            if watch.cluster != EVERY_REMOTE:
                self._local.caches.subscribe(watch, _adder(work, watch.keys))

    def build(self) -> None:
        """Make the informers of the operator's own cluster, once all controllers are added."""
        self._local.caches.build()

    def connect(self, port: ClusterPort) -> None:
        """Bring in a remote cluster, in place of an earlier one of its name."""
        self.disconnect(port.name)
        with self._lock:
            self._remotes[port.name] = _Remote(port)

    def disconnect(self, name: str) -> None:
        """Let go of a remote cluster. Its threads end with their current watch."""
        with self._lock:
            remote = self._remotes.pop(name, None)
        for member in remote.views.values() if remote is not None else ():
            member.stop.set()

    def port(self, name: str) -> ClusterPort | None:
        """The API of a connected remote cluster, or None."""
        with self._lock:
            remote = self._remotes.get(name)
            return remote.port if remote is not None else None

    def view(self, name: str, namespace: str) -> Cluster | None:
        """A connected cluster seen through one namespace, once its caches are filled; the first call begins to."""
        with self._lock:
            remote = self._remotes.get(name)
            if remote is None:
                return None
            member = remote.views.get(namespace)
            if member is None:
                member = remote.views[namespace] = self._member(remote.port, (namespace,))
                self._watch_remote(member)
        if not all(informer.is_synced for informer in member.caches.informers):
            return None
        return member.cluster

    def caches(self) -> dict[str, ClusterCaches]:
        """The caches of every cluster and namespace that is watched, by "", or the cluster's and namespace's name."""
        with self._lock:
            views = {
                f"{name}/{namespace}": member.caches
                for name, remote in self._remotes.items()
                for namespace, member in remote.views.items()
            }
        return {"": self._local.caches, **views}

    def start(self) -> None:
        """Begin to watch, and to work once the own cluster's caches are filled."""
        self._started = True
        self._run_informers(self._local)
        self._workers = [
            _thread(f"{work.controller.name}-{number}", self._run_worker, work)
            for work in self.works
            for number in range(self._pace.workers)
        ]

    @property
    def is_synced(self) -> bool:
        """Whether the own cluster's caches are filled."""
        return all(informer.is_synced for informer in self._local.caches.informers)

    @property
    def is_alive(self) -> bool:
        """Whether every thread that should run does."""
        threads = [thread for member in self._all() for thread in member.threads]
        return all(thread.is_alive() for thread in (*threads, *self._workers))

    def stop(self, seconds: float = 10.0) -> None:
        """Finish the reconciles under way, for so long, and end. Watches are left to die with the process."""
        self._stop.set()
        for member in self._all():
            member.stop.set()
        for work in self.works:
            work.queue.close()
        deadline = self._clock.monotonic() + seconds
        for thread in self._workers:
            thread.join(max(deadline - self._clock.monotonic(), 0.0))

    def _all(self) -> Sequence[_Member]:
        with self._lock:
            views = [member for remote in self._remotes.values() for member in remote.views.values()]
        return [self._local, *views]

    def _member(self, port: ClusterPort, namespaces: Sequence[str]) -> _Member:
        caches = ClusterCaches(port, self._clock, namespaces, self._pace.resync_seconds)
        events = EventRecorder(port, self._clock, COMPONENT)
        statuses = StatusWriter(port, self._clock, self._pace.progress_seconds, self._pace.progress_rate)
        return _Member(Cluster(port, caches, events, statuses), caches)

    def _watch_remote(self, member: _Member) -> None:
        for work in self.works:
            for watch in work.controller.watches:
                if watch.cluster == EVERY_REMOTE:
                    member.caches.subscribe(watch, _adder(work, watch.keys))
        member.caches.build()
        if self._started:
            self._run_informers(member)

    def _run_informers(self, member: _Member) -> None:
        member.threads = [
            _thread(
                f"watch-{member.cluster.name or 'local'}-{informer.scope.resource.plural}",
                informer.run,
                member.stop,
                self._pace.backoff,
            )
            for informer in member.caches.informers
        ]

    def _run_worker(self, work: Work) -> None:
        # Before all caches are filled a reconcile would take what it does not see for missing.
        for informer in self._local.caches.informers:
            while not self._stop.is_set() and not informer.wait_for_sync(_TAKE_SECONDS):
                pass
        while not self._stop.is_set():
            work.step(_TAKE_SECONDS)


def _adder(work: Work, keys: Callable[[Object], Iterable[Key]]) -> Listener:
    def listen(obj: Object) -> None:
        for key in keys(obj):
            work.queue.add(key)

    return listen


def _thread(name: str, target: Callable[..., None], *arguments: object) -> Thread:
    thread = Thread(target=target, args=arguments, name=name, daemon=True)
    thread.start()
    return thread
