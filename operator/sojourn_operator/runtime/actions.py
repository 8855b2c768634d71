"""What a pure plan asks to be done to a cluster, in order, and the one place that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import AlreadyExists, Propagation

PatchMethod = Callable[[Resource, str, str, Mapping[str, Any]], Object]


@dataclass(frozen=True, slots=True)
class Create:
    """Make `object` once; that it is there already is fine. Never touched again: others may edit it."""

    object: Object


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of an object that the operator owns wholly."""

    object: Object


@dataclass(frozen=True, slots=True)
class Patch:
    """JSON merge patch of an object; with `resource_version` only if it is still at that version."""

    resource: Resource
    namespace: str
    name: str
    patch: Mapping[str, Any]
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class PatchStatus:
    """JSON merge patch of an object's status; with `resource_version` only if it is still at that version."""

    resource: Resource
    namespace: str
    name: str
    status: Mapping[str, Any]
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Make the status of `about`, as it was read, this whole one: what differs is written, if it is unchanged.

    Where only top-level fields named in `slow` differ (progress), they are written every few seconds.
    """

    resource: Resource
    about: Object
    status: Mapping[str, Any]
    slow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object if it still has this uid."""

    resource: Resource
    namespace: str
    name: str
    uid: str = ""
    propagation: Propagation = "Background"


@dataclass(frozen=True, slots=True)
class Tell:
    """A Kubernetes Event about an object. Repetitions of the same are counted, not piled up."""

    about: Object
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Action = Create | Apply | Patch | PatchStatus | SetStatus | Delete | Tell


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions of one reconcile, in order; `requeue_after` in seconds asks to look again."""

    actions: Sequence[Action] = ()
    requeue_after: float | None = None


def perform(plan: Plan, cluster: Cluster) -> float | None:
    """Do all actions in order; the first that fails ends it, and the key is tried again.

    Returns:
        Seconds after which to look again, or None.
    """
    performer = _Performer(cluster)
    waits = [performer.do(action) for action in plan.actions]
    return min((wait for wait in (plan.requeue_after, *waits) if wait is not None), default=None)


class _Performer:
    """Does actions one after another, and knows which versions its own conditional writes have led to."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._successors: dict[tuple[Resource, str, str, str], str] = {}

    def do(self, action: Action) -> float | None:
        port = self._cluster.port
        match action:
            case Create(object=obj):
                try:
                    port.create(obj)
                except AlreadyExists:
                    return None
            case Apply(object=obj):
                port.apply(obj)
            case Patch():
                self._patch(action, action.patch, port.patch)
            case PatchStatus():
                self._patch(action, {"status": action.status}, port.patch_status)
            case SetStatus():
                return self._set_status(action)
            case Delete():
                port.delete(
                    action.resource, action.namespace, action.name, uid=action.uid, propagation=action.propagation
                )
            case Tell():
                self._cluster.events.tell(action.about, action.type, action.reason, action.message)
        return None

    def _patch(self, action: Patch | PatchStatus, patch: Mapping[str, Any], method: PatchMethod) -> None:
        place = (action.resource, action.namespace, action.name)
        if not action.resource_version:
            method(*place, patch)
            return
        version = self._version(place, action.resource_version)
        metadata = {**patch.get("metadata", {}), "resourceVersion": version}
        written = method(*place, {**patch, "metadata": metadata})
        self._succeed(place, version, written)

    def _set_status(self, action: SetStatus) -> float | None:
        metadata = action.about["metadata"]
        place = (action.resource, metadata.get("namespace", ""), metadata["name"])
        version = self._version(place, metadata["resourceVersion"])
        written, wait = self._cluster.statuses.write(action.resource, action.about, action.status, action.slow, version)
        if written is not None:
            self._succeed(place, version, written)
        return wait

    def _version(self, place: tuple[Resource, str, str], version: str) -> str:
        while (*place, version) in self._successors:
            version = self._successors[*place, version]
        return version

    def _succeed(self, place: tuple[Resource, str, str], version: str, written: Object) -> None:
        successor = written["metadata"]["resourceVersion"]
        if successor != version:
            self._successors[*place, version] = successor
            self._cluster.caches.succeed(place[0], version, written)
