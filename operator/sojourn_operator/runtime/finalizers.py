"""Finalizers: work that must happen before an object goes."""

from __future__ import annotations

from sojourn_operator.runtime.actions import Patch
from sojourn_operator.runtime.objects import Object, Resource


def has_finalizer(obj: Object, finalizer: str) -> bool:
    """Whether the object waits for this finalizer when it is deleted."""
    return finalizer in obj["metadata"].get("finalizers", ())


def add_finalizer(resource: Resource, obj: Object, finalizer: str) -> Patch:
    """Put a finalizer on an object. Others may hold some too, so it is conditional on the version read."""
    return _replace(resource, obj, [*obj["metadata"].get("finalizers", ()), finalizer])


def remove_finalizer(resource: Resource, obj: Object, finalizer: str) -> Patch:
    """Let go of an object, conditional on the version read."""
    return _replace(resource, obj, [name for name in obj["metadata"].get("finalizers", ()) if name != finalizer])


def _replace(resource: Resource, obj: Object, finalizers: list[str]) -> Patch:
    metadata = obj["metadata"]
    return Patch(
        resource,
        metadata.get("namespace", ""),
        metadata["name"],
        {"metadata": {"finalizers": finalizers or None}},
        metadata["resourceVersion"],
    )
