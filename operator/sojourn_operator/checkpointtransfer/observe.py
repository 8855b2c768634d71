"""What is there of a transfer: itself, its stores, its mover and what that comes with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sojourn_operator.movers.names import TRANSFER_LABEL, mover_name
from sojourn_operator.movers.results import pods_of
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    JOBS,
    NETWORK_POLICIES,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.objects import Object, is_controlled_by, uid_of

CHILDREN: Final = (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, NETWORK_POLICIES, SERVICES)


@dataclass(frozen=True, slots=True)
class Observed:
    """A transfer and what was made for it.

    Args:
        stores: the namespace's CheckpointStores by name.
        children: by kind; all have the mover's name.
        pods: the mover's, newest first.
    """

    transfer: Object
    stores: Mapping[str, Object]
    job: Object | None
    pods: tuple[Object, ...]
    children: Mapping[str, Object]
    now: datetime

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.transfer["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """metadata.namespace."""
        return str(self.transfer["metadata"]["namespace"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """spec."""
        spec: Mapping[str, Any] = self.transfer["spec"]
        return spec

    @property
    def status(self) -> Mapping[str, Any]:
        """status, {} before the first."""
        status: Mapping[str, Any] = self.transfer.get("status", {})
        return status

    @property
    def listens(self) -> bool:
        """Whether this end is the one that the other connects to."""
        side = "Source" if self.spec["role"] == "Send" else "Target"
        return "relay" not in self.spec and bool(self.spec.get("listener", "Source") == side)


def observe(cluster: Cluster, transfer: Object, now: datetime) -> Observed:
    """Look into the caches."""
    namespace, name = transfer["metadata"]["namespace"], transfer["metadata"]["name"]
    job = cluster.cached(JOBS).get(namespace, mover_name(name))
    if job is not None and not is_controlled_by(job, transfer):
        job = None
    pods = cluster.cached(PODS).list(namespace, {TRANSFER_LABEL: name})
    children = {
        resource.kind: child for resource in CHILDREN for child in cluster.cached(resource).owned_by(uid_of(transfer))
    }
    return Observed(
        transfer=transfer,
        stores={store["metadata"]["name"]: store for store in cluster.cached(CHECKPOINT_STORES).list(namespace)},
        job=job,
        pods=tuple(pods_of(pods, job)) if job else (),
        children=children,
        now=now,
    )
