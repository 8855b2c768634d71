"""What the pods of a job would find in its namespace, looked up before a migration brings the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sojourn_operator.resources import (
    CONFIG_MAPS,
    LIMIT_RANGES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import ClusterPort, Forbidden, Invalid, Missing

Named = Mapping[str, bool | str]
"""By name: whether it is there, or why that is not known."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a job's pods ask for.

    Args:
        amounts: requests and limits of one pod, as Kubernetes writes them.
        pods: how many pods there are.
        selector: labels of the nodes that may run them.
    """

    namespace: str
    secrets: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    amounts: Mapping[str, str] = field(default_factory=dict)
    pods: int = 1
    selector: Mapping[str, str] = field(default_factory=dict)
    image: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is there of it; a text in place of objects says why they could not be read."""

    secrets: Named
    config_maps: Named
    accounts: Named
    claims: Named
    quotas: tuple[Object, ...] | str = ()
    limits: tuple[Object, ...] | str = ()
    nodes: tuple[Object, ...] | str = ()


def needs_of(namespace: str, pod: Mapping[str, Any], pods: int, own: frozenset[str]) -> Needs:
    """What a pod's spec names and asks for.

    Args:
        own: names of what the operator itself makes for the job.
    """
    container = pod["containers"][0]
    env, env_from, volumes = container.get("env", ()), container.get("envFrom", ()), pod.get("volumes", ())
    values = [variable.get("valueFrom", {}) for variable in env]
    parts = [part for volume in volumes for part in (volume, *volume.get("projected", {}).get("sources", ()))]

    def named(*references: tuple[Iterable[Mapping[str, Any]], str, str]) -> tuple[str, ...]:
        found = (
            reference.get(key)
            for holders, field_name, key in references
            for holder in holders
            if (reference := holder.get(field_name)) and not reference.get("optional")
        )
        return tuple(dict.fromkeys(name for name in found if name and name not in own))

    pulls = tuple(reference["name"] for reference in pod.get("imagePullSecrets", ()))
    secrets = named(
        (values, "secretKeyRef", "name"),
        (env_from, "secretRef", "name"),
        (parts, "secret", "secretName"),
        (parts, "secret", "name"),
    )
    return Needs(
        namespace,
        secrets=tuple(dict.fromkeys((*secrets, *pulls))),
        config_maps=named(
            (values, "configMapKeyRef", "name"), (env_from, "configMapRef", "name"), (parts, "configMap", "name")
        ),
        accounts=tuple({pod["serviceAccountName"]} - own),
        claims=named((volumes, "persistentVolumeClaim", "claimName")),
        amounts=container["resources"]["requests"],
        pods=pods,
        selector=pod.get("nodeSelector", {}),
        image=container.get("image", ""),
    )


def look_around(port: ClusterPort, needs: Needs) -> Surroundings:
    """Ask the API server. No Secret is read."""

    def there(resource: Resource, names: Iterable[str]) -> Named:
        def ask(name: str) -> bool:
            return port.get(resource, needs.namespace, name) is not None

        return {name: _told(partial(ask, name), f"get {resource.plural}") for name in names}

    def is_taken(name: str) -> bool:
        return not port.name_is_free(_secret(needs, name))

    return Surroundings(
        secrets={name: _told(partial(is_taken, name), "create secrets") for name in needs.secrets},
        config_maps=there(CONFIG_MAPS, needs.config_maps),
        accounts=there(SERVICE_ACCOUNTS, needs.accounts),
        claims=there(PERSISTENT_VOLUME_CLAIMS, needs.claims),
        quotas=_list(port, RESOURCE_QUOTAS, needs.namespace),
        limits=_list(port, LIMIT_RANGES, needs.namespace),
        nodes=_list(port, NODES, ""),
    )


def _secret(needs: Needs, name: str) -> Object:
    metadata = {"name": name, "namespace": needs.namespace}
    return {"apiVersion": SECRETS.api_version, "kind": SECRETS.kind, "metadata": metadata}


def _told(ask: Callable[[], bool], what: str) -> bool | str:
    try:
        return ask()
    except Forbidden:
        return f"no right to {what}"
    except (Invalid, Missing) as error:
        return str(error)  # a quota or a policy has answered first


def _list(port: ClusterPort, resource: Resource, namespace: str) -> tuple[Object, ...] | str:
    try:
        return tuple(port.list(resource, namespace).items)
    except Forbidden:
        return f"no right to list {resource.plural}"
