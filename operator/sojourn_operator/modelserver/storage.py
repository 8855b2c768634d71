"""How a ModelServer's pods get at the store that its model is in: for reading, and in the fetching container alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sojourn_operator.runtime.objects import Object

MOUNT: Final = "/sojourn/store"
_VOLUME: Final = "store"


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """Parts of a container and a pod that reads a store."""

    env: tuple[dict[str, Any], ...] = ()
    env_from: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """Why there is no access: a condition's reason and message."""

    reason: str
    message: str


def store_access(reference: Mapping[str, Any], store: Object | None) -> StoreAccess | StoreProblem:
    """From a reference {name} or {uri}, and the CheckpointStore of that name if there is one."""
    if "uri" in reference:
        return _of_uri(str(reference["uri"]), {})
    if store is None:
        return StoreProblem("StoreNotFound", f"there is no CheckpointStore {reference['name']!r} in this namespace")
    spec = store["spec"]
    if "pvc" in spec:
        return _of_claim(spec["pvc"]["claimName"], spec["pvc"].get("path", ""))
    return _of_uri(spec["uri"], spec)


def _of_uri(uri: str, spec: Mapping[str, Any]) -> StoreAccess | StoreProblem:
    scheme, _, rest = uri.partition("://")
    if scheme == "pvc":
        claim, _, path = rest.partition("/")
        return _of_claim(claim, path)
    if scheme == "file":
        return StoreProblem("StoreNotReachable", f"{uri} is a folder of one machine; pods cannot see it")
    env = {
        "SOJOURN_STORE": uri,
        "SOJOURN_STORE_REGION": spec.get("region", ""),
        "SOJOURN_STORE_ENDPOINT": spec.get("endpoint", ""),
    }
    secret = spec.get("secretRef")
    return StoreAccess(
        env=tuple({"name": name, "value": value} for name, value in env.items() if value),
        env_from=({"secretRef": {"name": secret["name"]}},) if secret else (),
    )


def _of_claim(claim: str, path: str) -> StoreAccess:
    place = f"{MOUNT}/{path.strip('/')}".rstrip("/")
    return StoreAccess(
        env=({"name": "SOJOURN_STORE", "value": place},),
        mounts=({"name": _VOLUME, "mountPath": MOUNT, "readOnly": True},),
        volumes=({"name": _VOLUME, "persistentVolumeClaim": {"claimName": claim}},),
    )
