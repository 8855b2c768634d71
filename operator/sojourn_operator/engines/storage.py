"""How pods reach the stores and the code of a job: volumes, mounts and environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from posixpath import join
from typing import Any, Final

STORE_PATH: Final = "/sojourn/store"
RESTORE_PATH: Final = "/sojourn/restore"
RELAY_PATH: Final = "/sojourn/relay"
CODE_PATH: Final = "/sojourn/code"
_PVC: Final = "pvc://"


@dataclass(frozen=True, slots=True)
class Attached:
    """What a pod gets so that it can use something; parts of a pod spec as Kubernetes writes them."""

    env: tuple[Mapping[str, Any], ...] = ()
    env_from: tuple[Mapping[str, Any], ...] = ()
    volumes: tuple[Mapping[str, Any], ...] = ()
    mounts: tuple[Mapping[str, Any], ...] = ()

    def __add__(self, other: Attached) -> Attached:
        return Attached(
            self.env + other.env,
            self.env_from + other.env_from,
            self.volumes + other.volumes,
            self.mounts + other.mounts,
        )


def run_store(store: Mapping[str, Any]) -> Attached:
    """The store that the run lives in; `store` is a resolved one, as in spec.store of an attempt."""
    return _attach(store, "SOJOURN_STORE", "store", STORE_PATH, read_only=False)


def model_store(store: Mapping[str, Any]) -> Attached:
    """The store that a served model is read from."""
    return _attach(store, "SOJOURN_STORE", "store", STORE_PATH, read_only=True)


def restore_store(store: Mapping[str, Any]) -> Attached:
    """The store that holds the checkpoint which a new run starts from."""
    return _attach(store, "SOJOURN_RESTORE_STORE", "restore", RESTORE_PATH, read_only=True)


def relay_store(store: Mapping[str, Any]) -> Attached:
    """A store between two movers. Its credentials have names of their own, beside those of the run's store."""
    attached = _attach(store, "SOJOURN_RELAY_STORE", "relay", RELAY_PATH, read_only=False)
    sources = tuple({"prefix": "SOJOURN_RELAY_", **source} for source in attached.env_from)
    return replace(attached, env_from=sources)


def code_files(code: Mapping[str, Any] | None) -> Attached:
    """The ConfigMap with the task's modules, where the task names one; archives are fetched by the pods."""
    reference = (code or {}).get("configMap")
    if reference is None:
        return Attached()
    return Attached(
        env=({"name": "SOJOURN_CODE", "value": CODE_PATH},),
        volumes=({"name": "code", "configMap": {"name": reference["name"]}},),
        mounts=({"name": "code", "mountPath": CODE_PATH, "readOnly": True},),
    )


def claim_of(store: Mapping[str, Any]) -> tuple[str, str]:
    """Claim and folder of a store in a volume; ("", "") for other stores."""
    if pvc := store.get("pvc"):
        return pvc["claimName"], pvc.get("path", "")
    uri = store.get("uri", "")
    if uri.startswith(_PVC):
        claim, _, path = uri.removeprefix(_PVC).partition("/")
        return claim, path.strip("/")
    return "", ""


def store_address(store: Mapping[str, Any]) -> str:
    """The store's address as people write it: pvc://claim/path, s3://bucket/prefix."""
    claim, path = claim_of(store)
    if claim:
        return f"{_PVC}{claim}/{path}".rstrip("/")
    return str(store["uri"])


def _attach(store: Mapping[str, Any], variable: str, volume: str, path: str, *, read_only: bool) -> Attached:
    claim, folder = claim_of(store)
    named = {f"{variable}_URI": store_address(store)}
    if claim:
        mount: dict[str, Any] = {"name": volume, "mountPath": path}
        source: dict[str, Any] = {"claimName": claim}
        if read_only:
            mount["readOnly"] = True
            source["readOnly"] = True
        return Attached(
            env=_variables({variable: join(path, folder) if folder else path, **named}),
            volumes=({"name": volume, "persistentVolumeClaim": source},),
            mounts=(mount,),
        )
    values = {variable: store["uri"], **named}
    values |= {f"{variable}_{name.upper()}": store[name] for name in ("region", "endpoint") if name in store}
    secret = store.get("secretRef")
    return Attached(
        env=_variables(values),
        env_from=({"secretRef": {"name": secret["name"]}},) if secret else (),
    )


def _variables(values: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    return tuple({"name": name, "value": value} for name, value in values.items())
