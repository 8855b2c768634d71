"""Runs controllers against a cluster in memory, without threads and without waiting for real time to pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry

from helpers.api_server import defaulted, judge
from helpers.faults import Crash, Faults, FaultyPort
from helpers.rights import HeldToRights
from sojourn.api.crds import KINDS, definition
from sojourn_operator.context import Context
from sojourn_operator.rbac import CLUSTER, GATEWAY, HOME, KUBERAY, OPERATOR, REMOTE, REMOTE_CLUSTER, REMOTE_HOME, Role
from sojourn_operator.resources import ALL, NAMESPACES
from sojourn_operator.runtime.connection import Connection
from sojourn_operator.runtime.controller import Controller
from sojourn_operator.runtime.manager import Manager
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.metrics import Metrics
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import Expired, Invalid, Unavailable
from sojourn_operator.settings import Settings

MakeController = Callable[[Context], Controller]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

# The roles of the chart, on the operator's own cluster and on others.
HERE = (OPERATOR, KUBERAY, GATEWAY, CLUSTER)
THERE = (REMOTE, REMOTE_CLUSTER, REMOTE_HOME)
# Conflicts and first failures are waited out by `settle`; what waits longer is waiting for something.
PATIENCE = 0.6
MAX_STEPS = 5_000


class FakeClock:
    """Time that passes when it is told to."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._start = start
        self._seconds = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds


def memory_cluster(
    clock: FakeClock, name: str = "", namespaces: Sequence[str] = (), denied: Sequence[tuple[str, str]] = ()
) -> MemoryCluster:
    """A cluster with every kind installed; ours are held to their CRDs, so nothing unknown is written.

    Args:
        denied: verbs and plurals that an access review answers with no.
    """
    cluster = MemoryCluster(ALL, clock, name=name, admission=_admission, denied=denied)
    for namespace in namespaces:
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    return cluster


class Harness:
    """One operator on a cluster in memory.

    Args:
        controllers: what is tested; they are made anew after every crash and restart.
        environment: controllers that stand for the rest of the cluster (say, one that makes pods of Jobs).
        world: the operator's cluster; a new one if not given.
        remotes: other clusters by the name of their RemoteCluster, `connected` from the start or by a controller.
        rights: whether the operator may do what the chart's roles allow, and no more.
        home: the operator's own namespace.
        there: what it may do in the remotes.
        invariant: called after each write of the operator; raises AssertionError.
    """

    def __init__(
        self,
        controllers: Iterable[MakeController],
        environment: Iterable[MakeController] = (),
        *,
        clock: FakeClock | None = None,
        world: MemoryCluster | None = None,
        remotes: Mapping[str, MemoryCluster] | None = None,
        settings: Settings | None = None,
        connected: bool = True,
        rights: bool = True,
        home: str = "default",
        there: Sequence[Role] = THERE,
        invariant: Callable[[Harness], None] = lambda harness: None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.world = world or memory_cluster(self.clock)
        self.settings = settings or Settings()
        self.dialed: list[tuple[str, str]] = []
        self._connected = connected
        self.home = home
        here = HeldToRights(self.world, HERE, [HOME], home) if rights else self.world
        self.faults = Faults()
        self.port = FaultyPort(here, lambda: invariant(self), self.faults)
        self.remote_ports = {
            name: FaultyPort(HeldToRights(_Named(remote, name), there), lambda: invariant(self), self.faults)
            for name, remote in (remotes or {}).items()
        }
        self.crashes: list[str] = []
        self._controllers = list(controllers)
        self._environment = self._manager(list(environment), self.world, CollectorRegistry())
        self.restart()

    def restart(self) -> None:
        """Start the operator anew: nothing is left of it but what the API server holds. `registry` has its metrics."""
        self.registry = CollectorRegistry()
        self._operator = self._manager(self._controllers, self.port, self.registry)
        if self._connected:
            for port in self.remote_ports.values():
                self._operator.connect(port)

    def create(self, obj: Object) -> Object:
        """Make an object as a user, and its namespace if need be."""
        namespace = obj["metadata"].get("namespace")
        if namespace and self.world.get(NAMESPACES, "", namespace) is None:
            self.world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        return self.world.create(obj)

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """An object as it is now, or None."""
        return self.world.get(resource, namespace, name)

    def one(self, resource: Resource, namespace: str, name: str) -> Object:
        """An object that must be there."""
        found = self.world.get(resource, namespace, name)
        assert found is not None, f"no {resource.kind} {namespace}/{name}; there is {self.names(resource)}"
        return found

    def names(self, resource: Resource, namespace: str = "") -> list[str]:
        """Names of all objects of a kind, sorted."""
        return sorted(obj["metadata"]["name"] for obj in self.world.list(resource, namespace).items)

    def patch(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        """Change an object as a user."""
        return self.world.patch(resource, namespace, name, patch)

    def patch_status(self, resource: Resource, namespace: str, name: str, **status: Any) -> Object:
        """Change a status as somebody else than the operator, say a pod."""
        return self.world.patch_status(resource, namespace, name, {"status": status})

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object as a user."""
        self.world.delete(resource, namespace, name)

    def settle(self) -> None:
        """Let everybody work until nobody has anything to do now. A crash of the operator restarts it."""
        for _ in range(MAX_STEPS):
            try:
                if self._step(self._operator) or self._step(self._environment) or self.world.collect_garbage():
                    continue
            except Crash as crash:
                self.crashes.append(str(crash))
                self.restart()
                continue
            due = self._next_due()
            if due is None or due - self.clock.monotonic() > PATIENCE:
                return
            self.clock.advance(max(due - self.clock.monotonic(), 0.0))
        raise AssertionError(f"it never settles; last writes: {self.port.writes[-6:]}")

    def environment_alone(self) -> None:
        """Let the rest of the cluster work, while the operator is slow."""
        while self._step(self._environment):
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that falls due meanwhile."""
        end = self.clock.monotonic() + seconds
        self.settle()
        while (due := self._next_due()) is not None and due <= end:
            self.clock.advance(max(due - self.clock.monotonic(), 0.0))
            self.settle()
        self.clock.advance(max(end - self.clock.monotonic(), 0.0))
        self.settle()

    @property
    def worlds(self) -> Sequence[MemoryCluster]:
        """Where to look at the end of a story."""
        return (self.world,)

    @property
    def manager(self) -> Manager:
        """The operator that runs now."""
        return self._operator

    def _next_due(self) -> float | None:
        works = (*self._operator.works, *self._environment.works)
        return min((due for work in works if (due := work.queue.next_due()) is not None), default=None)

    def _manager(self, controllers: Sequence[MakeController], port: Any, registry: CollectorRegistry) -> Manager:
        manager = Manager(self.clock, Metrics(registry), strict=True)
        context = Context(manager.local(port), manager, self._dial, self.settings, self.clock, registry, self.home)
        for make in controllers:
            manager.add(make(context))
        manager.build()
        return manager

    def _dial(self, name: str, connection: Connection) -> FaultyPort:
        """Kubeconfigs of tests call the cluster `west` of `remotes` https://west.test."""
        self.dialed.append((name, connection.headers().get("Authorization", "")))
        return self.remote_ports[connection.server.removeprefix("https://").removesuffix(".test")]

    def _step(self, manager: Manager) -> bool:
        _refresh(manager)
        return sum(work.step() is not None for work in manager.works) > 0


def _refresh(manager: Manager) -> None:
    """Bring all caches up to date."""
    for caches in list(manager.caches().values()):
        for informer in caches.informers:
            try:
                informer.follow()
            except Expired:
                informer.follow()
            except Unavailable:
                continue


class _Named:
    """A cluster under the name by which another one knows it."""

    def __init__(self, cluster: MemoryCluster, name: str) -> None:
        self._cluster = cluster
        self.name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._cluster, attribute)


def _admission(resource: Resource, obj: dict[str, Any], old: Object | None) -> dict[str, Any]:
    definition_of_kind = _definitions().get((resource.group, resource.plural))
    if definition_of_kind is None:
        return obj
    if errors := judge(definition_of_kind, obj, dict(old) if old is not None else None):
        raise Invalid(f"{resource.kind} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}: {errors}")
    return defaulted(definition_of_kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"], obj)


@cache
def _definitions() -> dict[tuple[str, str], dict[str, Any]]:
    definitions = [definition(kind) for kind in KINDS]
    return {(crd["spec"]["group"], crd["spec"]["names"]["plural"]): crd for crd in definitions}
