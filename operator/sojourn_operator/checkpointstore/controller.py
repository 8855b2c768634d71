"""The controller of CheckpointStores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

from prometheus_client import Gauge

from sojourn_operator.checkpointstore.observe import observe
from sojourn_operator.checkpointstore.plan import plan_store
from sojourn_operator.context import Context
from sojourn_operator.engines.names import MANAGED
from sojourn_operator.engines.storage import claim_of
from sojourn_operator.movers.names import STORE_LABEL
from sojourn_operator.resources import CHECKPOINT_STORES, JOBS, PERSISTENT_VOLUME_CLAIMS, PODS
from sojourn_operator.runtime.actions import perform
from sojourn_operator.runtime.conditions import is_true
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key, Object, key_of
from sojourn_operator.runtime.watching import by_label, itself, owners


class CheckpointStoreController:
    """Has every store tried by a pod, and says whether it can hold runs."""

    name: Final = "checkpointstore"

    def __init__(self, context: Context) -> None:
        self._context = context
        labels = ["namespace", "store"]
        self._ready = Gauge(
            "sojourn_operator_store_ready", "Whether a store can hold runs.", labels, registry=context.registry
        )
        self._free = Gauge(
            "sojourn_operator_store_free_bytes",
            "Free room when the store was last tried.",
            labels,
            registry=context.registry,
        )
        self.watches = (
            Watch(CHECKPOINT_STORES, itself),
            Watch(JOBS, owners("CheckpointStore"), labels=MANAGED),
            Watch(PODS, by_label(STORE_LABEL), labels=MANAGED),
            Watch(PERSISTENT_VOLUME_CLAIMS, self._stores),
        )

    def reconcile(self, key: Key) -> float | None:
        """Try the store if it is time, and say what was found."""
        cluster = self._context.cluster
        store = cluster.cached(CHECKPOINT_STORES).get(*key)
        if store is None:
            self._forget(key)
            return None
        self._count(key, store)
        plan = plan_store(observe(cluster, store, self._context.clock.now()), self._context.settings)
        return perform(plan, cluster)

    def _count(self, key: Key, store: Object) -> None:
        self._ready.labels(*key).set(is_true(store, "Ready"))
        free = store.get("status", {}).get("freeBytes")
        if free is not None:
            self._free.labels(*key).set(free)

    def _forget(self, key: Key) -> None:
        for gauge in (self._ready, self._free):
            with contextlib.suppress(KeyError):
                gauge.remove(*key)

    def _stores(self, claim: Object) -> Iterable[Key]:
        """Stores in a claim."""
        namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
        for store in self._context.cluster.cached(CHECKPOINT_STORES).list(namespace):
            if claim_of(store["spec"])[0] == name:
                yield key_of(store)
