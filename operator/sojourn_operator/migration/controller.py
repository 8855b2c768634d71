"""Migration: carries a run from one end to the other by objects of both clusters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import Counter, Histogram

from sojourn_operator.context import Context
from sojourn_operator.migration import names
from sojourn_operator.migration.observe import Seen, observe, places
from sojourn_operator.migration.plan import Journey, plan_migration
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    CHECKPOINT_TRANSFERS,
    CHECKPOINTS,
    MIGRATIONS,
    MODEL_SERVERS,
    REMOTE_CLUSTERS,
    TRAINING_JOBS,
)
from sojourn_operator.runtime.actions import perform
from sojourn_operator.runtime.conditions import is_true
from sojourn_operator.runtime.controller import EVERY_REMOTE, Watch
from sojourn_operator.runtime.objects import Key, Object, key_of
from sojourn_operator.runtime.phases import ObjectsByPhase
from sojourn_operator.runtime.watching import itself

_CONCERNED = (TRAINING_JOBS, CHECKPOINT_TRANSFERS, MODEL_SERVERS, CHECKPOINT_STORES, CHECKPOINTS)
_PHASES = ("Preflight", "Checkpoint", "Transfer", "Verify", "Fence", "Resume", "Serve", "Undoing", "Complete", "Failed")
_STAGE_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)


class MigrationController:
    """Touches only Sojourn's own objects, here and there; each cluster's operator makes pods of them."""

    name = "migration"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        whole_cluster = () if context.settings.namespace else (Watch(REMOTE_CLUSTERS, self._users_of_cluster),)
        elsewhere = tuple(Watch(resource, self._concerned, cluster=EVERY_REMOTE) for resource in _CONCERNED)
        self.watches = (
            Watch(MIGRATIONS, itself),
            *(Watch(resource, self._concerned) for resource in _CONCERNED),
            *whole_cluster,
            *elsewhere,
        )
        registry = context.registry
        registry.register(ObjectsByPhase(context.cluster, MIGRATIONS, "sojourn_operator_migrations_by_phase", _PHASES))
        self._ends = Counter(
            "sojourn_operator_migrations",
            "Migrations that ended, by mode and outcome",
            ("mode", "outcome"),
            registry=registry,
        )
        self._bytes = Counter("sojourn_operator_migration_bytes", "Bytes that migrations sent", registry=registry)
        self._stage_seconds = Histogram(
            "sojourn_operator_migration_stage_seconds",
            "Time of a migration's stages",
            ("mode", "stage"),
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._downtime = Histogram(
            "sojourn_operator_migration_downtime_seconds",
            "From the source's last committed step to the target's first, as far as their status tells",
            buckets=_STAGE_SECONDS,
            registry=registry,
        )

    def reconcile(self, key: Key) -> float | None:
        """Bring the migration a step on."""
        migration = self._cluster.cached(MIGRATIONS).get(*key)
        if migration is None:
            return None
        seen, source, target = observe(self._context, migration)
        journey = plan_migration(seen)
        waits = [perform(journey.home, self._cluster)]
        if source is not None:
            waits.append(perform(journey.source, source))
        if target is not None:
            waits.append(perform(journey.target, target))
        waits.append(perform(journey.last, self._cluster))
        if journey.outcome:
            self._count(seen, journey)
        return min((wait for wait in waits if wait is not None), default=None)

    def _count(self, seen: Seen, journey: Journey) -> None:
        """Once, when the status that says so was written."""
        mode = seen.spec["mode"]
        self._ends.labels(mode, journey.outcome).inc()
        status = journey.status
        self._bytes.inc(status.get("bytes", 0))
        for stage, seconds in status.get("seconds", {}).items():
            self._stage_seconds.labels(mode, stage).observe(seconds)
        if "downtimeSeconds" in status:
            self._downtime.observe(status["downtimeSeconds"])

    def _concerned(self, obj: Object) -> Iterable[Key]:
        """Migrations under way that have an end in the object's namespace; an object too many costs little."""
        namespace = obj["metadata"].get("namespace", "")
        for migration in self._cluster.cached(MIGRATIONS).list():
            where = places(migration)
            if namespace in (where.source[1], where.target[1]) and not _is_over(migration):
                yield key_of(migration)

    def _users_of_cluster(self, cluster: Object) -> Iterator[Key]:
        for migration in self._cluster.cached(MIGRATIONS).list():
            where = places(migration)
            if cluster["metadata"]["name"] in (where.source[0], where.target[0]):
                yield key_of(migration)


def _is_over(migration: Object) -> bool:
    ended = is_true(migration, "Complete") or is_true(migration, "Failed")
    return ended and names.FINALIZER not in migration["metadata"].get("finalizers", ())
