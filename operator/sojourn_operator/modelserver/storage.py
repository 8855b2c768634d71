"""How a ModelServer's pods get at the store that its model is in: for reading, and in the fetching container alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_operator.engines.storage import Attached, model_store
from sojourn_operator.runtime.objects import Object


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """Why there is no access: a condition's reason and message."""

    reason: str
    message: str


def store_access(reference: Mapping[str, Any], store: Object | None) -> Attached | StoreProblem:
    """From a reference {name} or {uri}, and the CheckpointStore of that name if there is one.

    The store need not be Ready: a model can be read from one that is no longer fit to be written to.
    """
    if "uri" not in reference and store is None:
        return StoreProblem("StoreNotFound", f"there is no CheckpointStore {reference['name']!r} in this namespace")
    found: Mapping[str, Any] = reference if store is None else store["spec"]
    if found.get("uri", "").startswith("file:"):
        return StoreProblem("StoreNotReachable", f"{found['uri']} is a folder of one machine; pods cannot see it")
    return model_store(found)
