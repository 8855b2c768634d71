"""What an informer knows: objects by key, and by namespace, owner and our own labels without searching."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar

from sojourn_operator.runtime.objects import Key, Object, key_of

I = TypeVar("I", bound=Hashable)  # noqa: E741
# Labels of this kind name one job, attempt or store each, so that few objects share a value.
_INDEXED = "sojourn.dev/"


class Indexer:
    """A Lister that an informer fills. Its objects are shared: nobody may change them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._objects: dict[Key, Object] = {}
        self._namespaces: defaultdict[str, set[Key]] = defaultdict(set)
        self._owners: defaultdict[str, set[Key]] = defaultdict(set)
        self._labels: defaultdict[tuple[str, str], set[Key]] = defaultdict(set)

    def get(self, namespace: str, name: str) -> Object | None:
        with self._lock:
            return self._objects.get(Key(namespace, name))

    def list(self, namespace: str = "", labels: Mapping[str, str] | None = None) -> Sequence[Object]:
        wanted = (labels or {}).items()
        indexed = next((label for label in wanted if label[0].startswith(_INDEXED)), None)
        with self._lock:
            if indexed is not None:
                keys: Iterable[Key] = self._labels.get(indexed, ())
            else:
                keys = self._namespaces.get(namespace, ()) if namespace else self._objects
            found = [self._objects[key] for key in sorted(keys) if namespace in ("", key.namespace)]
        return [obj for obj in found if wanted <= obj["metadata"].get("labels", {}).items()]

    def owned_by(self, owner_uid: str) -> Sequence[Object]:
        with self._lock:
            return [self._objects[key] for key in sorted(self._owners.get(owner_uid, ()))]

    def __len__(self) -> int:
        return len(self._objects)

    def put(self, obj: Object) -> Object | None:
        """Hold an object; returns the one that it replaces."""
        with self._lock:
            return self._replace(key_of(obj), obj)

    def succeed(self, version: str, obj: Object) -> None:
        """Hold what the object at `version` has become by a write of ours, unless the watch has gone past it.

        Nothing can have happened to the object in between, so the watch tells the same next.
        """
        with self._lock:
            old = self._objects.get(key_of(obj))
            if old is not None and old["metadata"]["resourceVersion"] == version:
                self._replace(key_of(obj), obj)

    def remove(self, key: Key) -> Object | None:
        """Drop an object; returns it."""
        with self._lock:
            old = self._objects.pop(key, None)
            if old is not None:
                self._unindex(key, old)
        return old

    def keys(self, namespace: str = "") -> set[Key]:
        """The keys of all objects held, or of those of one namespace."""
        with self._lock:
            return set(self._namespaces.get(namespace, ()) if namespace else self._objects)

    def _replace(self, key: Key, obj: Object) -> Object | None:
        old = self._objects.get(key)
        if old is not None:
            self._unindex(key, old)
        self._objects[key] = obj
        self._namespaces[key.namespace].add(key)
        for reference in obj["metadata"].get("ownerReferences", ()):
            self._owners[reference["uid"]].add(key)
        for label in _indexed_labels(obj):
            self._labels[label].add(key)
        return old

    def _unindex(self, key: Key, obj: Object) -> None:
        _discard(self._namespaces, key.namespace, key)
        for reference in obj["metadata"].get("ownerReferences", ()):
            _discard(self._owners, reference["uid"], key)
        for label in _indexed_labels(obj):
            _discard(self._labels, label, key)


def slim(obj: Object) -> Object:
    """An object without what no reconciler reads, and with its many equal words stored once."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    slimmed: Object = _interned({**obj, "metadata": metadata})
    return slimmed


def _interned(value: Any) -> Any:
    if isinstance(value, dict):
        return {sys.intern(name): _interned(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_interned(part) for part in value]
    # Long texts are messages and scripts: all different, and held for as long as anybody interned them.
    return sys.intern(value) if isinstance(value, str) and len(value) <= 64 else value


def _indexed_labels(obj: Object) -> Iterable[tuple[str, str]]:
    return [label for label in obj["metadata"].get("labels", {}).items() if label[0].startswith(_INDEXED)]


def _discard(index: defaultdict[I, set[Key]], name: I, key: Key) -> None:
    index[name].discard(key)
    if not index[name]:
        del index[name]
