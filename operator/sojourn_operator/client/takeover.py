"""Going on with a run whose cluster, or whose heir, is lost: a person's order, which the run's log keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sojourn.errors import InvalidInput
from sojourn_operator.client.migration import MigrationHandle, migration_name
from sojourn_operator.client.namespace import Namespace
from sojourn_operator.resources import CHECKPOINT_STORES, MIGRATIONS, TRAINING_JOBS


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverOrder:
    """What is ordered.

    Args:
        run: name of the run, or its folder in the store ("NAMESPACE/NAME-RUNID").
        store: CheckpointStore of the client's namespace that has it.
        job: TrainingJob of that namespace that goes on with it, and waits suspended; the new run has its name.
        reason: why, for the log.
        person: who orders it.
        fence: digest of the fence that is overridden, where the run was handed over to somebody who is lost.
        to_store: CheckpointStore in which it goes on; "" for the job's.
    """

    run: str
    store: str
    job: str
    reason: str
    person: str = ""
    fence: str = ""
    to_store: str = ""
    dry_run: bool = False


def takeover_of(order: TakeoverOrder, namespace: str, store: dict[str, Any], name: str) -> dict[str, Any]:
    """The Migration object. Pure.

    Args:
        store: reference to the store in which the run goes on.
    """
    said = {"reason": order.reason, "person": order.person, "fence": order.fence}
    spec: dict[str, Any] = {
        "mode": "Cold",
        "source": {"run": {"storeRef": {"name": order.store}, "name": order.run}},
        "target": {"storeRef": store, "name": order.job},
        "resume": {},
        "takeover": {key: value for key, value in said.items() if value},
        # Both movers are in this cluster.
        "exposure": {"type": "ClusterIP"},
    }
    if order.dry_run:
        spec["dryRun"] = True
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": MIGRATIONS.api_version, "kind": MIGRATIONS.kind, "metadata": metadata, "spec": spec}


def take_over(client: Namespace, order: TakeoverOrder) -> MigrationHandle:
    """Go on with a run without asking whoever has it, who can commit nothing more from then on.

    Raises:
        InvalidInput: no reason is given, or the job has no store and none is named.
        NotFound: there is no such CheckpointStore or TrainingJob in the client's namespace.
    """
    if not order.reason.strip():
        raise InvalidInput("a takeover needs a reason: the run's log keeps it")
    client.need(CHECKPOINT_STORES, order.store)
    job = client.need(TRAINING_JOBS, order.job)
    store = {"name": order.to_store} if order.to_store else job["spec"].get("checkpoint", {}).get("store")
    if not store:
        raise InvalidInput(f"TrainingJob {order.job} names no store", hint="Name the one in which the run goes on.")
    name = migration_name(client, order.job)
    client.port.create(takeover_of(order, client.namespace, store, name))
    return MigrationHandle(client, name)
