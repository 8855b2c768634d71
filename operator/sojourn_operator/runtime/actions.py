"""What a pure plan asks to be done to a cluster, in order, and the one place that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import AlreadyExists, ClusterPort, Missing, Propagation


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


Action = Create | Apply | Patch | PatchStatus | Delete | Tell


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions of one reconcile, in order; `requeue_after` in seconds asks to look again."""

    actions: Sequence[Action] = ()
    requeue_after: float | None = None


def perform(plan: Plan, port: ClusterPort) -> None:
    """Do all actions in order; the first that fails ends it, and the key is tried again."""
    for action in plan.actions:
        _perform(action, port)


def _perform(action: Action, port: ClusterPort) -> None:
    match action:
        case Create(object=obj):
            try:
                port.create(obj)
            except AlreadyExists:
                return
        case Apply(object=obj):
            port.apply(obj)
        case Patch():
            port.patch(
                action.resource, action.namespace, action.name, _versioned(action.patch, action.resource_version)
            )
        case PatchStatus():
            patch = _versioned({"status": action.status}, action.resource_version)
            port.patch_status(action.resource, action.namespace, action.name, patch)
        case Delete():
            try:
                port.delete(
                    action.resource, action.namespace, action.name, uid=action.uid, propagation=action.propagation
                )
            except Missing:
                return
        case Tell():
            raise NotImplementedError  # the event recorder comes with the runtime


def _versioned(patch: Mapping[str, Any], resource_version: str) -> Mapping[str, Any]:
    if not resource_version:
        return patch
    return {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": resource_version}}
