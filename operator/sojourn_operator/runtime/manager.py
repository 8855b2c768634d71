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
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True)
class _Member:
    cluster: Cluster
    caches: ClusterCaches
    stop: Event = field(default_factory=Event)
    threads: list[Thread] = field(default_factory=list)


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
        self._members: dict[str, _Member] = {}
        self._stop = Event()
        self._workers: list[Thread] = []
        self._started = False

    def local(self, port: ClusterPort, namespaces: Sequence[str] = ()) -> Cluster:
        """The operator's own cluster, before its controllers are made."""
        return self._member(port, namespaces).cluster

    def add(self, controller: Controller) -> None:
        """Run a controller; before `build`."""
        work = Work(controller, self._clock, self._metrics, self._pace.backoff, strict=self._strict)
        self.works.append(work)
        for watch in controller.watches:
            if watch.cluster != EVERY_REMOTE:
                self._members[watch.cluster].caches.subscribe(watch, _adder(work, watch.keys))

    def build(self) -> None:
        """Make the informers of the operator's own cluster, once all controllers are added."""
        self._members[""].caches.build()

    def connect(self, port: ClusterPort, namespaces: Sequence[str] = ()) -> Cluster:
        """Bring in a remote cluster, in place of an earlier one of its name."""
        self.disconnect(port.name)
        member = self._member(port, namespaces)
        for work in self.works:
            for watch in work.controller.watches:
                if watch.cluster == EVERY_REMOTE:
                    member.caches.subscribe(watch, _adder(work, watch.keys))
        member.caches.build()
        if self._started:
            self._run_informers(member)
        return member.cluster

    def disconnect(self, name: str) -> None:
        """Let go of a remote cluster. Its threads end with their current watch."""
        with self._lock:
            member = self._members.pop(name, None)
        if member is not None:
            member.stop.set()

    def get(self, name: str) -> Cluster | None:
        """A connected remote cluster whose caches are filled, or None."""
        with self._lock:
            member = self._members.get(name) if name else None
        if member is None or not all(informer.is_synced for informer in member.caches.informers):
            return None
        return member.cluster

    def caches(self) -> dict[str, ClusterCaches]:
        """The caches of every cluster, by its name."""
        with self._lock:
            return {name: member.caches for name, member in self._members.items()}

    def start(self) -> None:
        """Begin to watch, and to work once the own cluster's caches are filled."""
        self._started = True
        with self._lock:
            members = list(self._members.values())
        for member in members:
            self._run_informers(member)
        self._workers = [
            _thread(f"{work.controller.name}-{number}", self._run_worker, work)
            for work in self.works
            for number in range(self._pace.workers)
        ]

    @property
    def is_synced(self) -> bool:
        """Whether the own cluster's caches are filled."""
        return all(informer.is_synced for informer in self._members[""].caches.informers)

    @property
    def is_alive(self) -> bool:
        """Whether every thread that should run does."""
        with self._lock:
            threads = [thread for member in self._members.values() for thread in member.threads]
        return all(thread.is_alive() for thread in (*threads, *self._workers))

    def stop(self, seconds: float = 10.0) -> None:
        """Finish the reconciles under way, for so long, and end. Watches are left to die with the process."""
        self._stop.set()
        with self._lock:
            members = list(self._members.values())
        for member in members:
            member.stop.set()
        for work in self.works:
            work.queue.close()
        deadline = self._clock.monotonic() + seconds
        for thread in self._workers:
            thread.join(max(deadline - self._clock.monotonic(), 0.0))

    def _member(self, port: ClusterPort, namespaces: Sequence[str]) -> _Member:
        caches = ClusterCaches(port, self._clock, namespaces, self._pace.resync_seconds)
        cluster = Cluster(
            port,
            caches,
            EventRecorder(port, self._clock, COMPONENT),
            StatusWriter(port, self._clock, self._pace.progress_seconds),
        )
        with self._lock:
            member = self._members[port.name] = _Member(cluster, caches)
        return member

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
        for informer in self._members[""].caches.informers:
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
