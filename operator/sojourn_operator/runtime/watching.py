"""Which keys a changed object concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sojourn_operator.runtime.objects import Key, Object, controller_of, key_of


def itself(obj: Object) -> Iterable[Key]:
    """The object's own key."""
    return (key_of(obj),)


def owners(kind: str) -> Callable[[Object], Iterable[Key]]:
    """The key of an object's controller, where that is of this kind."""

    def keys(obj: Object) -> Iterable[Key]:
        name = controller_of(obj, kind)
        return (Key(obj["metadata"].get("namespace", ""), name),) if name else ()

    return keys


def by_label(label: str) -> Callable[[Object], Iterable[Key]]:
    """The object of the same namespace whose name stands in a label."""

    def keys(obj: Object) -> Iterable[Key]:
        name = obj["metadata"].get("labels", {}).get(label)
        return (Key(obj["metadata"].get("namespace", ""), name),) if name else ()

    return keys
