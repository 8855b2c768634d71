"""From a reference to a store to the store itself, as pods need it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sojourn.api import StoreReference
from sojourn.errors import SojournError
from sojourn_operator.runtime.conditions import get_condition
from sojourn_operator.runtime.objects import Object
from sojourn_operator.trainingjob import reasons

_COPIED = ("uri", "pvc", "secretRef", "region", "endpoint")


class Infeasible(SojournError):
    """The job cannot start. `reason` is the word for the condition, the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def resolve_store(reference: StoreReference, stores: Mapping[str, Object]) -> dict[str, Any]:
    """The store as an attempt's spec.store holds it.

    Args:
        stores: the CheckpointStores of the job's namespace by name, as far as they are there.

    Raises:
        Infeasible: it is not there, not ready, or nothing that pods can reach.
    """
    if reference.name is None:
        uri = reference.uri or ""
        _refuse_local(uri)
        return {"uri": uri}
    store = stores.get(reference.name)
    if store is None:
        raise Infeasible(
            reasons.STORE_NOT_FOUND, f"there is no CheckpointStore {reference.name} in this namespace; create it"
        )
    _refuse_local(store["spec"].get("uri", ""))
    ready = get_condition(store, "Ready")
    if ready is None or ready["status"] != "True":
        why = f"{ready['reason']}: {ready.get('message', '')}" if ready else "it was not tried yet"
        raise Infeasible(reasons.STORE_NOT_READY, f"CheckpointStore {reference.name} is not ready ({why})")
    return {"name": reference.name, **{name: store["spec"][name] for name in _COPIED if name in store["spec"]}}


def _refuse_local(uri: str) -> None:
    if uri.startswith("file:"):
        raise Infeasible(
            reasons.LOCAL_STORE,
            f"{uri} is a folder of one machine, which pods cannot see; use a PersistentVolumeClaim "
            "(pvc://CLAIM/PATH, or a CheckpointStore with pvc) or an object store",
        )
