"""What is there of a job: itself, its stores, its attempts, and what was made for it as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from sojourn.api import TrainingJobSpec
from sojourn_operator.engines.names import RUN_ID
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICES,
    TRAINING_ATTEMPTS,
    TRAINING_JOBS,
)
from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.objects import Object, uid_of

CHILDREN: Final = (SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, NETWORK_POLICIES, SERVICES)


@dataclass(frozen=True, slots=True)
class Observed:
    """A job and what belongs to it.

    Args:
        spec: None if this operator does not understand it; `problem` says why.
        stores: the namespace's CheckpointStores by name.
        holder: another job, whose run this one names as its own.
        attempts: by number, oldest first.
        children: by kind and name.
    """

    job: Object
    spec: TrainingJobSpec | None
    problem: str
    stores: Mapping[str, Object]
    holder: Object | None
    attempts: tuple[Object, ...]
    children: Mapping[tuple[str, str], Object]
    now: datetime

    @property
    def status(self) -> Mapping[str, Any]:
        """status, {} before the first."""
        status: Mapping[str, Any] = self.job.get("status", {})
        return status

    def attempt(self, number: int) -> Object | None:
        """The attempt with this number, None if it is not there."""
        return next((attempt for attempt in self.attempts if attempt["spec"]["number"] == number), None)


def observe(cluster: Cluster, job: Object, now: datetime) -> Observed:
    """Look into the caches."""
    namespace, uid = job["metadata"]["namespace"], uid_of(job)
    spec, problem = _parse(job)
    children = {
        (resource.kind, child["metadata"]["name"]): child
        for resource in CHILDREN
        for child in cluster.cached(resource).owned_by(uid)
    }
    attempts = cluster.cached(TRAINING_ATTEMPTS).owned_by(uid)
    return Observed(
        job=job,
        spec=spec,
        problem=problem,
        stores={store["metadata"]["name"]: store for store in cluster.cached(CHECKPOINT_STORES).list(namespace)},
        holder=_holder(cluster, job),
        attempts=tuple(sorted(attempts, key=lambda attempt: attempt["spec"]["number"])),
        children=children,
        now=now,
    )


def _holder(cluster: Cluster, job: Object) -> Object | None:
    """The job that trains the run which this one's annotation names. A run has one job, ever."""
    named = job["metadata"].get("annotations", {}).get(RUN_ID)
    if named is None or named == job.get("status", {}).get("runId"):
        return None
    others = (other for other in cluster.cached(TRAINING_JOBS).list() if uid_of(other) != uid_of(job))
    return next((other for other in others if other.get("status", {}).get("runId") == named), None)


def _parse(job: Object) -> tuple[TrainingJobSpec | None, str]:
    try:
        return TrainingJobSpec.from_manifest(job["spec"]), ""
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return None, f"spec.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
