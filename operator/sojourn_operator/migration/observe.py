"""What is there of a migration, in both clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sojourn_operator.context import Context
from sojourn_operator.migration import names
from sojourn_operator.migration.reach import Problem, reach
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    CHECKPOINT_TRANSFERS,
    CHECKPOINTS,
    MODEL_SERVERS,
    TRAINING_JOBS,
)
from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.objects import Object


@dataclass(frozen=True, slots=True)
class Side:
    """One end. Without `reachable` nothing of it is known, and `problem` says why.

    Args:
        cluster: name of its RemoteCluster, "" for this one.
        stores: the CheckpointStores of its namespace, by name.
        job: the TrainingJob that is carried, or that goes on.
        checkpoint: the Checkpoint that is carried.
    """

    cluster: str
    namespace: str
    reachable: bool = True
    problem: Problem | None = None
    stores: Mapping[str, Object] | None = None
    job: Object | None = None
    checkpoint: Object | None = None
    transfer: Object | None = None
    server: Object | None = None

    def store(self, reference: Mapping[str, Any] | None) -> Object | None:
        """The CheckpointStore that a reference names, if it names one that is there."""
        return (self.stores or {}).get((reference or {}).get("name", ""))


@dataclass(frozen=True, slots=True)
class Seen:
    """A migration and its two ends.

    Args:
        here: how people call this cluster.
    """

    migration: Object
    source: Side
    target: Side
    now: datetime
    here: str

    @property
    def spec(self) -> Mapping[str, Any]:
        """The migration's spec."""
        spec: Mapping[str, Any] = self.migration["spec"]
        return spec

    @property
    def status(self) -> Mapping[str, Any]:
        """The migration's status, {} before the first."""
        status: Mapping[str, Any] = self.migration.get("status", {})
        return status

    @property
    def uid(self) -> str:
        """The migration's uid, which also names the hand-over in the logs."""
        return str(self.migration["metadata"]["uid"])


@dataclass(frozen=True, slots=True)
class Places:
    """Where the ends are; a name is "" where the source does not determine it."""

    source: tuple[str, str]
    target: tuple[str, str]
    source_job: str
    source_checkpoint: str
    target_name: str
    server_name: str


def places(migration: Object) -> Places:
    """The ends of a migration with every default filled in."""
    spec, namespace = migration["spec"], migration["metadata"]["namespace"]
    source, target = spec["source"], spec.get("target", {})
    source_namespace = source.get("namespace", namespace)
    job, checkpoint = source.get("trainingJob", ""), source.get("checkpoint", "")
    run = (source.get("export") or source.get("run") or {}).get("run") or (source.get("run") or {}).get("name", "")
    return Places(
        source=(source.get("cluster", ""), source_namespace),
        target=(target.get("cluster", ""), target.get("namespace", source_namespace)),
        source_job=job,
        source_checkpoint=checkpoint,
        target_name=target.get("name") or job or _run_name(run),
        server_name=spec.get("serve", {}).get("name") or target.get("name") or job or _run_name(run),
    )


def observe(context: Context, migration: Object) -> tuple[Seen, Cluster | None, Cluster | None]:
    """Look into the caches of both clusters; also the clusters of source and target, None where out of reach."""
    where = places(migration)
    source_cluster, source_problem = reach(context, migration, *where.source)
    target_cluster, target_problem = reach(context, migration, *where.target)
    source = _side(source_cluster, source_problem, where.source, where.source_job, names.send_name(migration))
    if source_cluster is not None and where.source_checkpoint:
        source = _with_checkpoint(source_cluster, source, where.source_checkpoint)
    name = where.target_name or _job_of(source.checkpoint)
    target = _side(target_cluster, target_problem, where.target, name, names.receive_name(migration))
    if target_cluster is not None and "serve" in migration["spec"]:
        server = target_cluster.cached(MODEL_SERVERS).get(target.namespace, where.server_name or name)
        target = replace(target, server=server)
    here = context.settings.cluster_name or "local"
    return Seen(migration, source, target, context.clock.now(), here), source_cluster, target_cluster


def target_name(seen: Seen) -> str:
    """Name of the job and run at the target."""
    return places(seen.migration).target_name or _job_of(seen.source.checkpoint)


def server_name(seen: Seen) -> str:
    """Name of the ModelServer at the target."""
    return places(seen.migration).server_name or target_name(seen)


def _job_of(checkpoint: Object | None) -> str:
    spec = checkpoint["spec"] if checkpoint is not None else {}
    return str(spec.get("jobName") or spec.get("run", {}).get("name", ""))


def _run_name(run: str) -> str:
    """NAME of NAME, NAME-RUNID or a run's folder."""
    name = run.rstrip("/").rpartition("/")[2]
    head, _, _ = name.rpartition("-") if len(name) > 37 and name.count("-") >= 5 else (name, "", "")
    return name[:-37] if head and _is_uuid(name[-36:]) else name


def _is_uuid(text: str) -> bool:
    return [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]


def _side(cluster: Cluster | None, problem: Problem | None, where: tuple[str, str], job: str, transfer: str) -> Side:
    name, namespace = where
    if cluster is None:
        return Side(name, namespace, reachable=False, problem=problem)
    stores = cluster.cached(CHECKPOINT_STORES).list(namespace)
    return Side(
        name,
        namespace,
        stores={store["metadata"]["name"]: store for store in stores},
        job=cluster.cached(TRAINING_JOBS).get(namespace, job) if job else None,
        transfer=cluster.cached(CHECKPOINT_TRANSFERS).get(namespace, transfer),
    )


def _with_checkpoint(cluster: Cluster, side: Side, name: str) -> Side:
    checkpoint = cluster.cached(CHECKPOINTS).get(side.namespace, name)
    job_name = _job_of(checkpoint)
    job = cluster.cached(TRAINING_JOBS).get(side.namespace, job_name) if job_name else None
    return replace(side, checkpoint=checkpoint, job=job)
