"""What is there of a store: itself, its claim, the probe that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sojourn_operator.engines.storage import claim_of
from sojourn_operator.movers.names import STORE_LABEL
from sojourn_operator.movers.results import pods_of
from sojourn_operator.resources import JOBS, PERSISTENT_VOLUME_CLAIMS, PODS
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.objects import Object, is_controlled_by


@dataclass(frozen=True, slots=True)
class Observed:
    """A store and its probes.

    Args:
        claim: the PersistentVolumeClaim, None if there is none or none is needed.
        jobs: probes that are there, running or ended.
        pods: of the newest of them first.
    """

    store: Object
    claim: Object | None
    jobs: tuple[Object, ...]
    pods: Mapping[str, tuple[Object, ...]]
    now: datetime

    @property
    def spec(self) -> Mapping[str, Any]:
        """spec."""
        spec: Mapping[str, Any] = self.store["spec"]
        return spec

    @property
    def status(self) -> Mapping[str, Any]:
        """status, {} before the first."""
        status: Mapping[str, Any] = self.store.get("status", {})
        return status

    @property
    def generation(self) -> int:
        """metadata.generation."""
        return int(self.store["metadata"].get("generation", 1))

    @property
    def probed(self) -> datetime | None:
        """When this very spec was last tried."""
        time = self.status.get("lastProbeTime")
        return parse_rfc3339(time) if time and self.status.get("observedGeneration") == self.generation else None

    @property
    def single_node(self) -> bool:
        """Whether one node at a time can mount it, so that a probe would wait for whoever uses it."""
        modes = (self.claim or {}).get("spec", {}).get("accessModes", ())
        return bool(modes) and "ReadWriteMany" not in modes


def observe(cluster: Cluster, store: Object, now: datetime) -> Observed:
    """Look into the caches."""
    namespace, name = store["metadata"]["namespace"], store["metadata"]["name"]
    claim_name, _ = claim_of(store["spec"])
    pods = cluster.cached(PODS).list(namespace, {STORE_LABEL: name})
    jobs = [job for job in cluster.cached(JOBS).list(namespace, {STORE_LABEL: name}) if is_controlled_by(job, store)]
    return Observed(
        store=store,
        claim=cluster.cached(PERSISTENT_VOLUME_CLAIMS).get(namespace, claim_name) if claim_name else None,
        jobs=tuple(jobs),
        pods={job["metadata"]["name"]: tuple(pods_of(pods, job)) for job in jobs},
        now=now,
    )
