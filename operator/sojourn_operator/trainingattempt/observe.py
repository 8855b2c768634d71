"""What is there of an attempt: itself, its workload, its pods and services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sojourn_operator.engines import ENGINES
from sojourn_operator.engines.base import Engine
from sojourn_operator.engines.names import ATTEMPT_LABEL
from sojourn_operator.engines.podview import PodView, view_pod
from sojourn_operator.resources import PODS, SERVICES, TRAINING_ATTEMPTS
from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.objects import Key, Object, is_controlled_by
from sojourn_operator.runtime.port import Forbidden, Missing


@dataclass(frozen=True, slots=True)
class Observed:
    """An attempt and what was made for it.

    Args:
        workload: its Job or RayJob, None if it is not there.
        foreign: a workload of that name exists that belongs to somebody else, such as an earlier job's that still goes.
        pods: its pods, ended ones included.
        services: names of its services.
        installed: whether the workload's kind can be made here.
        confirmed: read from the API server just now, and not from a cache that may be behind.
    """

    attempt: Object
    engine: Engine
    workload: Object | None
    foreign: bool
    pods: tuple[PodView, ...]
    services: frozenset[str]
    now: datetime
    installed: bool = True
    confirmed: bool = False

    @property
    def status(self) -> Mapping[str, Any]:
        """status, {} before anybody wrote one."""
        status: Mapping[str, Any] = self.attempt.get("status", {})
        return status

    @property
    def running_pods(self) -> tuple[PodView, ...]:
        """Pods of which something may still run."""
        return tuple(pod for pod in self.pods if not pod.ended)


def observe(cluster: Cluster, attempt: Object, now: datetime) -> Observed:
    """Look into the caches."""
    engine = ENGINES[attempt["spec"]["engine"]]
    namespace, name = attempt["metadata"]["namespace"], attempt["metadata"]["name"]
    workload = cluster.cached(engine.resource).get(namespace, name)
    pods = cluster.cached(PODS).list(namespace, {ATTEMPT_LABEL: name})
    services = cluster.cached(SERVICES).owned_by(attempt["metadata"]["uid"])
    seen = _observed(attempt, engine, workload, pods, services, now)
    if workload is None and engine.optional:
        return replace(seen, installed=_is_installed(cluster, engine, namespace))
    return seen


def observe_directly(cluster: Cluster, key: Key, now: datetime) -> Observed | None:
    """Ask the API server itself, where a mistake would stop a healthy attempt; None if the attempt is gone."""
    attempt = cluster.port.get(TRAINING_ATTEMPTS, key.namespace, key.name)
    if attempt is None:
        return None
    engine = ENGINES[attempt["spec"]["engine"]]
    workload = cluster.port.get(engine.resource, key.namespace, key.name)
    pods = cluster.port.list(PODS, key.namespace, f"{ATTEMPT_LABEL}={key.name}").items
    services = cluster.cached(SERVICES).owned_by(attempt["metadata"]["uid"])
    return replace(_observed(attempt, engine, workload, pods, services, now), confirmed=True)


def _is_installed(cluster: Cluster, engine: Engine, namespace: str) -> bool:
    try:
        cluster.port.list(engine.resource, namespace)
    except (Missing, Forbidden):
        return False
    return True


def _observed(
    attempt: Object, engine: Engine, workload: Object | None, pods: Any, services: Any, now: datetime
) -> Observed:
    ours = workload is not None and is_controlled_by(workload, attempt)
    return Observed(
        attempt=attempt,
        engine=engine,
        workload=workload if ours else None,
        foreign=workload is not None and not ours,
        pods=tuple(view_pod(pod) for pod in pods),
        services=frozenset(service["metadata"]["name"] for service in services),
        now=now,
    )
