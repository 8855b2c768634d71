"""Kubernetes objects as plain JSON data, and the few things every kind asks of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object as the API server's paths name it: `group` is "" for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Value of an object's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version


class Resources:
    """Finds the resource of an object by its apiVersion and kind."""

    def __init__(self, known: Iterable[Resource]) -> None:
        self._known = {(resource.api_version, resource.kind): resource for resource in known}

    def of(self, obj: Object) -> Resource:
        """The resource of an object.

        Raises:
            KeyError: nobody told of this kind.
        """
        return self._known[obj["apiVersion"], obj["kind"]]

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._known.values())


class Key(NamedTuple):
    """Names an object of a known resource; `namespace` is "" for those of the whole cluster."""

    namespace: str
    name: str


def key_of(obj: Object) -> Key:
    """The key of an object."""
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def uid_of(obj: Object) -> str:
    """metadata.uid, which tells an object from a later one of the same name."""
    return str(obj["metadata"]["uid"])


def is_being_deleted(obj: Object) -> bool:
    """Whether somebody has asked for its deletion."""
    return obj["metadata"].get("deletionTimestamp") is not None


def owner_reference(owner: Object, *, block: bool = True) -> dict[str, Any]:
    """The ownerReference by which the garbage collector deletes a child with `owner`."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": block,
    }


def controller_of(obj: Object, kind: str) -> str:
    """Name of the controller of `obj` if that is of this kind, else ""."""
    for reference in obj["metadata"].get("ownerReferences", ()):
        if reference.get("controller") and reference["kind"] == kind:
            return str(reference["name"])
    return ""


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Whether `owner`, and not an earlier object of its name, is the controller of `obj`."""
    return any(
        reference.get("controller") and reference.get("uid") == uid_of(owner)
        for reference in obj["metadata"].get("ownerReferences", ())
    )
