"""A cluster in memory that behaves as an API server does in what reconcilers depend on.

Not there: defaults and validation of built-in kinds, controllers (only the garbage collector), and grace periods.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Condition
from typing import Any, Literal
from uuid import UUID

from sojourn_operator.runtime.clock import Clock, rfc3339
from sojourn_operator.runtime.mergepatch import apply_merge_patch
from sojourn_operator.runtime.objects import Key, Object, Resource, Resources
from sojourn_operator.runtime.ownership import Path, apply_owned, owned_fields
from sojourn_operator.runtime.port import (
    AlreadyExists,
    Change,
    Conflict,
    Expired,
    Invalid,
    Missing,
    Page,
    Propagation,
)
from sojourn_operator.runtime.selectors import parse_selector

Admission = Callable[[Resource, dict[str, Any], Object | None], dict[str, Any]]
"""Given a resource, an object to be stored and the one stored: the object with defaults. May raise Invalid."""

FOREGROUND = "foregroundDeletion"
_Place = tuple[Resource, str, str]
_NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)


@dataclass(frozen=True, slots=True)
class _Record:
    version: int
    place: _Place
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    new: Object
    old: Object | None


class MemoryCluster:
    """A ClusterPort on a dictionary. Many threads may use it.

    Args:
        resources: the kinds that are installed.
        admission: checks and completes what is written, as the schema of a CRD does.
        denied: verbs and plurals that a SelfSubjectAccessReview answers with no.
        watch_seconds: how long a watch waits for news before it ends; 0 for tests without threads.
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        clock: Clock,
        *,
        name: str = "",
        admission: Admission | None = None,
        watch_seconds: float = 0.0,
        denied: Collection[tuple[str, str]] = (),
    ) -> None:
        self.name = name
        self._resources = Resources(resources)
        self._clock = clock
        self._admission = admission
        self._watch_seconds = watch_seconds
        self._denied = denied
        self._news = Condition()
        self._objects: dict[_Place, Object] = {}
        self._owned: dict[_Place, frozenset[Path]] = {}
        self._records: list[_Record] = []
        self._version = 0
        self._compacted = 0
        self._uids = 0
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        with self._news:
            return copy.deepcopy(self._objects.get((resource, namespace, name)))

    def list(self, resource: Resource, namespace: str = "", labels: str = "") -> Page:
        matches = parse_selector(labels)
        with self._news:
            found = sorted((place[1:], obj) for place, obj in self._objects.items() if place[0] == resource)
            items = [
                copy.deepcopy(obj) for (where, _), obj in found if namespace in ("", where) and matches(_labels(obj))
            ]
            return Page(items, str(self._version))

    def watch(
        self, resource: Resource, resource_version: str, namespace: str = "", labels: str = ""
    ) -> Iterator[Change]:
        matches = parse_selector(labels)
        seen = int(resource_version)
        deadline = time.monotonic() + self._watch_seconds
        while True:
            with self._news:
                if seen < self._compacted:
                    raise Expired(f"version {seen} of {resource.plural} is too old")
                while self._version == seen and (left := deadline - time.monotonic()) > 0:
                    self._news.wait(left)
                records = [record for record in self._records if record.version > seen]
                seen = self._version
            for record in records:
                if record.place[0] == resource and namespace in ("", record.place[1]):
                    yield from _seen_through(record, matches)
            yield Change("BOOKMARK", {"metadata": {"resourceVersion": str(seen)}})
            if time.monotonic() >= deadline:
                return

    def create(self, obj: Object) -> Object:
        if obj["kind"] == "SelfSubjectAccessReview":
            asked = obj["spec"]["resourceAttributes"]
            return {**obj, "status": {"allowed": (asked["verb"], asked["resource"]) not in self._denied}}
        with self._news:
            return copy.deepcopy(self._create(_plain(obj)))

    def name_is_free(self, obj: Object) -> bool:
        resource, namespace, name = place = self._place(_plain(obj))
        with self._news:
            if resource.namespaced and not self._is_open(namespace):
                raise Missing(f"namespace {namespace} of {name} does not exist or is being deleted")
            return place not in self._objects

    def apply(self, obj: Object) -> Object:
        wanted = _plain(obj)
        wanted.pop("status", None)
        place = self._place(wanted)
        with self._news:
            old = self._objects.get(place)
            if old is None:
                new = self._create(wanted)
            else:
                new = self._replace(place, old, apply_owned(old, wanted, self._owned.get(place, frozenset())))
            self._owned[place] = owned_fields(wanted)
            return copy.deepcopy(new)

    def patch(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        with self._news:
            place, old = self._find(resource, namespace, name, patch)
            new = apply_merge_patch(old, _plain(patch))
            return copy.deepcopy(self._replace(place, old, {**new, "status": old.get("status")}))

    def patch_status(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        with self._news:
            place, old = self._find(resource, namespace, name, patch)
            new = apply_merge_patch(old, _plain({"status": patch.get("status", {})}))
            return copy.deepcopy(self._replace(place, old, new))

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        with self._news:
            place = (resource, namespace, name)
            old = self._objects.get(place)
            if old is None or uid not in ("", old["metadata"]["uid"]):
                return
            if propagation == "Orphan":
                self._orphan_children(old["metadata"]["uid"])
            self._delete(place, old, foreground=propagation == "Foreground")

    def version(self) -> str:
        return "v1.35.0"

    def compact(self) -> None:
        """Forget the past: watches from before now are Expired."""
        with self._news:
            self._records.clear()
            self._version += 1
            self._compacted = self._version

    def collect_garbage(self) -> bool:
        """One round of the garbage collector and the namespace controller; whether it did anything."""
        with self._news:
            before: int = self._version
            for place, obj in list(self._objects.items()):
                if self._is_garbage(obj) and "deletionTimestamp" not in obj["metadata"]:
                    self._delete(place, obj, foreground=False)
                elif FOREGROUND in obj["metadata"].get("finalizers", ()) and not self._blocking_children(obj):
                    self._replace(place, obj, _without_finalizer(obj, FOREGROUND))
            for place, obj in list(self._objects.items()):
                if place[0] == _NAMESPACES and "deletionTimestamp" in obj["metadata"]:
                    self._empty_namespace(place, obj)
            return self._version != before

    def objects(self) -> Sequence[Object]:
        """Everything there is, in order of kind, namespace and name."""
        with self._news:
            places = sorted(self._objects, key=lambda place: (place[0].group, place[0].kind, place[1], place[2]))
            return [copy.deepcopy(self._objects[place]) for place in places]

    def _place(self, obj: Object) -> _Place:
        try:
            resource = self._resources.of(obj)
        except KeyError as error:
            raise Missing(f"kind {obj.get('kind')} of {obj.get('apiVersion')} is not installed") from error
        return resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]

    def _find(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> tuple[_Place, Object]:
        place = (resource, namespace, name)
        old = self._objects.get(place)
        if old is None:
            raise Missing(f"{resource.kind} {namespace}/{name} does not exist")
        for field in ("resourceVersion", "uid"):
            wanted = patch.get("metadata", {}).get(field)
            if wanted is not None and wanted != old["metadata"][field]:
                raise Conflict(f"{resource.kind} {namespace}/{name} has {field} {old['metadata'][field]}, not {wanted}")
        return place, old

    def _create(self, obj: dict[str, Any]) -> Object:
        place = self._place(obj)
        resource, namespace, name = place
        if resource.namespaced != bool(namespace):
            raise Invalid(f"{resource.kind} {name}: namespace {namespace!r} does not fit its scope")
        if resource.namespaced and not self._is_open(namespace):
            raise Missing(f"namespace {namespace} does not exist or is being deleted")
        if place in self._objects:
            raise AlreadyExists(f"{resource.kind} {namespace}/{name} exists")
        if (resource.group, resource.plural) != ("", "events"):
            obj.pop("status", None)
        if self._admission is not None:
            obj = self._admission(resource, obj, None)
        self._uids += 1
        obj["metadata"] |= {
            "uid": str(UUID(int=self._uids)),
            "creationTimestamp": rfc3339(self._clock.now()),
            "generation": 1,
        }
        return self._store(place, "ADDED", obj, None)

    def _replace(self, place: _Place, old: Object, new: dict[str, Any]) -> Object:
        new = {**new, "metadata": {**new["metadata"]}}
        for field in ("uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp"):
            new["metadata"].pop(field, None)
            if field in old["metadata"]:
                new["metadata"][field] = old["metadata"][field]
        new = {name: value for name, value in new.items() if name != "status" or value is not None}
        if self._admission is not None:
            new = self._admission(place[0], new, old)
        if new == old:
            return old
        going = "deletionTimestamp" in old["metadata"]
        added = set(new["metadata"].get("finalizers", ())) - set(old["metadata"].get("finalizers", ()))
        if going and added - {FOREGROUND}:
            raise Invalid(f"{place[0].kind} {place[1]}/{place[2]} is being deleted: no new finalizers")
        if _content(new) != _content(old):
            new["metadata"]["generation"] += 1
        if going and not new["metadata"].get("finalizers"):
            return self._remove(place, new)
        return self._store(place, "MODIFIED", new, old)

    def _delete(self, place: _Place, old: Object, *, foreground: bool) -> None:
        finalizers = list(old["metadata"].get("finalizers", ()))
        if foreground and FOREGROUND not in finalizers:
            finalizers.append(FOREGROUND)
        if not finalizers and place[0] != _NAMESPACES:
            self._remove(place, old)
        elif "deletionTimestamp" not in old["metadata"]:
            metadata = {**old["metadata"], "deletionTimestamp": rfc3339(self._clock.now())}
            if finalizers:
                metadata["finalizers"] = finalizers
            metadata["generation"] += 1
            self._store(place, "MODIFIED", {**old, "metadata": metadata}, old)

    def _remove(self, place: _Place, last: Object) -> Object:
        old = self._objects.pop(place)
        self._owned.pop(place, None)
        return self._record(place, "DELETED", {**last, "metadata": {**last["metadata"]}}, old)

    def _store(
        self, place: _Place, change: Literal["ADDED", "MODIFIED"], obj: Mapping[str, Any], old: Object | None
    ) -> Object:
        stored = self._record(place, change, {**obj, "metadata": {**obj["metadata"]}}, old)
        self._objects[place] = stored
        return stored

    def _record(
        self, place: _Place, change: Literal["ADDED", "MODIFIED", "DELETED"], obj: dict[str, Any], old: Object | None
    ) -> Object:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self._records.append(_Record(self._version, place, change, obj, old))
        self._news.notify_all()
        return obj

    def _is_open(self, namespace: str) -> bool:
        found = self._objects.get((_NAMESPACES, "", namespace))
        return found is not None and "deletionTimestamp" not in found["metadata"]

    def _owner(self, reference: Mapping[str, Any]) -> Object | None:
        return next((o for o in self._objects.values() if o["metadata"]["uid"] == reference["uid"]), None)

    def _is_garbage(self, obj: Object) -> bool:
        owners = [self._owner(reference) for reference in obj["metadata"].get("ownerReferences", ())]
        return bool(owners) and all(
            owner is None or FOREGROUND in owner["metadata"].get("finalizers", ()) for owner in owners
        )

    def _blocking_children(self, owner: Object) -> Sequence[Key]:
        return [
            Key(place[1], place[2])
            for place, obj in self._objects.items()
            for reference in obj["metadata"].get("ownerReferences", ())
            if reference["uid"] == owner["metadata"]["uid"] and reference.get("blockOwnerDeletion")
        ]

    def _orphan_children(self, uid: str) -> None:
        for place, obj in list(self._objects.items()):
            references = obj["metadata"].get("ownerReferences", [])
            kept = [reference for reference in references if reference["uid"] != uid]
            if kept != references:
                self._replace(place, obj, {**obj, "metadata": {**obj["metadata"], "ownerReferences": kept}})

    def _empty_namespace(self, place: _Place, namespace: Object) -> None:
        content = [(inner, obj) for inner, obj in self._objects.items() if inner[1] == place[2]]
        for inner, obj in content:
            if "deletionTimestamp" not in obj["metadata"]:
                self._delete(inner, obj, foreground=False)
        if not content:
            self._remove(place, namespace)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy through JSON, which also proves that a server could read it."""
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain


def _labels(obj: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = obj["metadata"].get("labels", {})
    return labels


def _content(obj: Object) -> dict[str, Any]:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def _without_finalizer(obj: Object, finalizer: str) -> dict[str, Any]:
    kept = [name for name in obj["metadata"]["finalizers"] if name != finalizer]
    return {**obj, "metadata": {**obj["metadata"], "finalizers": kept}}


def _seen_through(record: _Record, matches: Callable[[Mapping[str, str]], bool]) -> Iterator[Change]:
    """What a watch with a selector shows of a change: objects come and go as their labels do."""
    now = record.type != "DELETED" and matches(_labels(record.new))
    before = record.old is not None and matches(_labels(record.old))
    if now:
        yield Change("MODIFIED" if before else "ADDED", copy.deepcopy(record.new))
    elif before:
        yield Change("DELETED", copy.deepcopy(record.new))
