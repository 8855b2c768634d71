"""A small controller on the harness: it converges, also when it is killed at every write."""

from __future__ import annotations

import pytest

from helpers.crashes import crash_at_every_write
from helpers.operator import Harness
from helpers.rows import Rows, table
from sojourn_operator.resources import CONFIG_MAPS, EVENTS, SECRETS


@pytest.fixture
def harness() -> Harness:
    return Harness([Rows], rights=False)


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

    struck = crash_at_every_write(lambda: Harness([Rows], rights=False), story)
    assert any("create Secret work/table-2" in point for point in struck)
    assert any("patch ConfigMap work/table (metadata.finalizers)" in point for point in struck)
