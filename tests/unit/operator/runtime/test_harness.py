"""A small controller on the harness: it converges, also when it is killed at every write."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.crashes import crash_at_every_write
from helpers.operator import Harness
from sojourn_operator.context import Context
from sojourn_operator.resources import CONFIG_MAPS, EVENTS, SECRETS
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
        return perform(plan(table, rows, note), self._cluster)


def plan(table: Object, rows: Any, note: Object | None) -> Plan:
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


def table(rows: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "table", "namespace": "work", "labels": {"rows": ""}},
        "data": {"rows": str(rows)},
    }


@pytest.fixture
def harness() -> Harness:
    return Harness([Rows])


def test_children_are_made_and_come_back(harness: Harness) -> None:
    harness.create(table(2))
    harness.settle()
    assert harness.names(SECRETS, "work") == ["table-0", "table-1", "table-note"]
    harness.delete(SECRETS, "work", "table-1")
    harness.settle()
    assert harness.names(SECRETS, "work") == ["table-0", "table-1", "table-note"]


def test_a_quiet_world_sees_no_write(harness: Harness) -> None:
    harness.create(table(2))
    harness.settle()
    writes = len(harness.port.writes)
    harness.advance(3600)
    harness.restart()
    harness.settle()
    assert len(harness.port.writes) == writes


def test_deletion_while_the_operator_is_down_is_made_good(harness: Harness) -> None:
    harness.create(table(2))
    harness.settle()
    harness.delete(CONFIG_MAPS, "work", "table")
    harness.restart()
    harness.settle()
    assert harness.names(SECRETS, "work") == []
    assert harness.get(CONFIG_MAPS, "work", "table") is None


def test_a_forgotten_past_is_listed_again(harness: Harness) -> None:
    harness.create(table(1))
    harness.settle()
    harness.patch(CONFIG_MAPS, "work", "table", {"data": {"rows": "3"}})
    harness.world.compact()
    harness.settle()
    assert len(harness.names(SECRETS, "work")) == 4


def test_an_outage_is_waited_out(harness: Harness) -> None:
    harness.create(table(1))
    harness.settle()
    harness.port.down = True
    harness.patch(CONFIG_MAPS, "work", "table", {"data": {"rows": "2"}})
    harness.advance(30)
    assert len(harness.names(SECRETS, "work")) == 2
    harness.port.down = False
    harness.advance(120)
    assert len(harness.names(SECRETS, "work")) == 3


def test_events_are_counted_and_not_piled_up(harness: Harness) -> None:
    harness.create(table(2))
    harness.advance(60)
    for _ in range(3):
        harness.delete(SECRETS, "work", "table-1")
        harness.advance(60)
    (event,) = harness.world.list(EVENTS, "work").items
    assert (event["reason"], event["message"], event["count"]) == ("Filled", "2 rows", 4)


def test_it_converges_when_killed_at_every_write() -> None:
    def story(harness: Harness) -> None:
        harness.create(table(3))
        harness.settle()
        harness.patch(CONFIG_MAPS, "work", "table", {"data": {"rows": "1"}})
        harness.settle()
        assert harness.names(SECRETS, "work") == ["table-0", "table-note"]
        harness.delete(CONFIG_MAPS, "work", "table")
        harness.settle()

    struck = crash_at_every_write(lambda: Harness([Rows]), story)
    assert any("create Secret work/table-2" in point for point in struck)
    assert any("patch ConfigMap work/table (metadata.finalizers)" in point for point in struck)
