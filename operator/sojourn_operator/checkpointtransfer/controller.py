"""The controller of CheckpointTransfers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter

from sojourn_operator.checkpointtransfer.observe import CHILDREN, observe
from sojourn_operator.checkpointtransfer.plan import plan_transfer
from sojourn_operator.checkpointtransfer.reasons import COMPLETE, FAILED
from sojourn_operator.context import Context
from sojourn_operator.engines.names import MANAGED
from sojourn_operator.movers.names import TRANSFER_LABEL
from sojourn_operator.resources import CHECKPOINT_STORES, CHECKPOINT_TRANSFERS, JOBS, PODS
from sojourn_operator.runtime.actions import Tell, perform
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key, Object, key_of
from sojourn_operator.runtime.watching import by_label, itself, owners


class CheckpointTransferController:
    """Makes the mover of one end of a transfer, and says how it can be reached and how it stands."""

    name: Final = "checkpointtransfer"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ended = Counter(
            "sojourn_operator_transfers",
            "Ends of transfers that are over.",
            ["role", "outcome"],
            registry=context.registry,
        )
        self.watches = (
            Watch(CHECKPOINT_TRANSFERS, itself),
            Watch(JOBS, owners("CheckpointTransfer"), labels=MANAGED),
            Watch(PODS, by_label(TRANSFER_LABEL), labels=MANAGED),
            Watch(CHECKPOINT_STORES, self._users),
            *(Watch(resource, owners("CheckpointTransfer"), labels=MANAGED) for resource in CHILDREN),
        )

    def reconcile(self, key: Key) -> float | None:
        """Bring the world nearer to what the transfer asks for."""
        cluster = self._context.cluster
        transfer = cluster.cached(CHECKPOINT_TRANSFERS).get(*key)
        if transfer is None:
            return None
        plan = plan_transfer(observe(cluster, transfer, self._context.clock.now()), self._context.settings)
        again = perform(plan, cluster)
        for action in plan.actions:
            if isinstance(action, Tell) and action.reason in (COMPLETE, FAILED):
                self._ended.labels(transfer["spec"]["role"], action.reason).inc()
        return again

    def _users(self, store: Object) -> Iterable[Key]:
        """Transfers that name a CheckpointStore."""
        namespace, name = store["metadata"]["namespace"], store["metadata"]["name"]
        for transfer in self._context.cluster.cached(CHECKPOINT_TRANSFERS).list(namespace):
            spec = transfer["spec"]
            named = (spec.get(part, {}).get("storeRef", {}) for part in ("source", "target", "relay"))
            if any(reference.get("name") == name for reference in named):
                yield key_of(transfer)
