"""A small controller for tests of the runtime: rows of a table, each a Secret of a ConfigMap."""

from __future__ import annotations

from typing import Any

from sojourn_operator.context import Context
from sojourn_operator.resources import CONFIG_MAPS, SECRETS
from sojourn_operator.runtime.actions import Action, Create, Delete, Plan, Tell, perform
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.finalizers import add_finalizer, has_finalizer, remove_finalizer
from sojourn_operator.runtime.objects import Key, Object, is_being_deleted, owner_reference, uid_of
from sojourn_operator.runtime.watching import by_label, itself, owners

FINALIZER = "sojourn.dev/rows"


class Rows:
    """Keeps as many Secrets as a ConfigMap says, and a note of its own that must go before the ConfigMap does."""

    name = "rows"

    def __init__(self, context: Context) -> None:
        self._cluster = context.cluster
        self.watches = (
            Watch(CONFIG_MAPS, itself, labels="rows"),
            Watch(SECRETS, owners("ConfigMap")),
            Watch(SECRETS, by_label("table")),
        )

    def reconcile(self, key: Key) -> float | None:
        table = self._cluster.cached(CONFIG_MAPS).get(*key)
        if table is None:
            return None
        note = self._cluster.cached(SECRETS).get(key.namespace, f"{key.name}-note")
        rows = self._cluster.cached(SECRETS).owned_by(uid_of(table))
        return perform(_plan(table, rows, note), self._cluster)


def _plan(table: Object, rows: Any, note: Object | None) -> Plan:
    name, namespace = table["metadata"]["name"], table["metadata"]["namespace"]
    if is_being_deleted(table):
        if note is not None:
            return Plan([Delete(SECRETS, namespace, note["metadata"]["name"])])
        return Plan([remove_finalizer(CONFIG_MAPS, table, FINALIZER)] if has_finalizer(table, FINALIZER) else [])
    if not has_finalizer(table, FINALIZER):
        return Plan([add_finalizer(CONFIG_MAPS, table, FINALIZER)])
    wanted = {f"{name}-{number}" for number in range(int(table["data"]["rows"]))}
    there = {row["metadata"]["name"] for row in rows}
    actions: list[Action] = [Create(_secret(namespace, f"{name}-note"))] if note is None else []
    actions += [Create(_secret(namespace, row, table)) for row in sorted(wanted - there)]
    actions += [Delete(SECRETS, namespace, row) for row in sorted(there - wanted)]
    if actions:
        actions.append(Tell(table, "Normal", "Filled", f"{len(wanted)} rows"))
    return Plan(actions)


def _secret(namespace: str, name: str, owner: Object | None = None) -> dict[str, Any]:
    references = {"ownerReferences": [owner_reference(owner)]} if owner is not None else {}
    metadata = {"name": name, "namespace": namespace, "labels": {"table": name.rpartition("-")[0]}, **references}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def table(rows: int, namespace: str = "work") -> dict[str, Any]:
    """A ConfigMap that asks for so many rows."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "table", "namespace": namespace, "labels": {"rows": ""}},
        "data": {"rows": str(rows)},
    }
