"""The controllers of Checkpoints: one makes them of what attempts report, one deletes their files on request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sojourn_operator.checkpoint import mirror
from sojourn_operator.checkpoint.mirror import RUN_LABEL, plan_mirror
from sojourn_operator.checkpoint.plan import Observed, job_name, plan_checkpoint, release
from sojourn_operator.context import Context
from sojourn_operator.engines.names import JOB_LABEL, MANAGED
from sojourn_operator.movers.names import CHECKPOINT_LABEL
from sojourn_operator.movers.results import pods_of
from sojourn_operator.resources import CHECKPOINT_STORES, CHECKPOINTS, JOBS, PODS, TRAINING_ATTEMPTS
from sojourn_operator.runtime.actions import perform
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key, Object, is_being_deleted, key_of
from sojourn_operator.runtime.port import Forbidden
from sojourn_operator.runtime.watching import by_label, itself, owners


class CommitController:
    """Turns the commits that attempts report into Checkpoint objects."""

    name: Final = "commits"

    def __init__(self, context: Context) -> None:
        self._context = context
        self.watches = (Watch(TRAINING_ATTEMPTS, itself), Watch(CHECKPOINTS, self._attempts))

    def reconcile(self, key: Key) -> float | None:
        """Make objects of new commits, and mark those that are retired."""
        cluster = self._context.cluster
        attempt = cluster.cached(TRAINING_ATTEMPTS).get(*key)
        if attempt is None:
            return None
        run = attempt.get("status", {}).get("run", {}).get("runId")
        checkpoints = cluster.cached(CHECKPOINTS).list(key.namespace, {RUN_LABEL: run}) if run else ()
        seen = mirror.Observed(attempt, tuple(checkpoints), self._context.clock.now())
        return perform(plan_mirror(seen), cluster)

    def _attempts(self, checkpoint: Object) -> Iterable[Key]:
        """The attempts that work on a checkpoint's run: which is the best may have changed."""
        namespace, labels = checkpoint["metadata"]["namespace"], checkpoint["metadata"].get("labels", {})
        if RUN_LABEL in labels and JOB_LABEL in labels:
            attempts = self._context.cluster.cached(TRAINING_ATTEMPTS).list(namespace, {JOB_LABEL: labels[JOB_LABEL]})
            for attempt in attempts:
                if attempt.get("status", {}).get("run", {}).get("runId") == labels[RUN_LABEL]:
                    yield key_of(attempt)


class CheckpointController:
    """Deletes a checkpoint's files before its object goes, where that is asked for."""

    name: Final = "checkpoint"

    def __init__(self, context: Context) -> None:
        self._context = context
        self.watches = (
            Watch(CHECKPOINTS, itself),
            Watch(JOBS, owners("Checkpoint"), labels=MANAGED),
            Watch(PODS, by_label(CHECKPOINT_LABEL), labels=MANAGED),
            # Read where a deletion has to find its store.
            Watch(CHECKPOINT_STORES, lambda store: ()),
        )

    def reconcile(self, key: Key) -> float | None:
        """Bring the world nearer to what the checkpoint asks for."""
        cluster = self._context.cluster
        item = cluster.cached(CHECKPOINTS).get(*key)
        if item is None:
            return None
        job = cluster.cached(JOBS).get(key.namespace, job_name(item))
        pods = cluster.cached(PODS).list(key.namespace, {CHECKPOINT_LABEL: key.name}) if job else ()
        stores = {store["metadata"]["name"]: store for store in cluster.cached(CHECKPOINT_STORES).list(key.namespace)}
        seen = Observed(item, stores, job, tuple(pods_of(pods, job)) if job else (), self._context.clock.now())
        try:
            return perform(plan_checkpoint(seen, self._context.settings), cluster)
        except Forbidden:
            # Nothing can be made in a namespace that goes, and the object must not hold it up.
            if not is_being_deleted(item):
                raise
            return perform(release(item), cluster)
