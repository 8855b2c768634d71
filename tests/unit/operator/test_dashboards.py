"""Every metric that the operator exports is on a panel, and every panel shows one that it exports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from helpers.operator import FakeClock, memory_cluster
from sojourn_operator.context import Context
from sojourn_operator.main import CONTROLLERS
from sojourn_operator.runtime.manager import Manager
from sojourn_operator.runtime.metrics import Metrics
from sojourn_operator.settings import Settings

DASHBOARDS: Final = Path(__file__).parents[3] / "charts" / "sojourn" / "dashboards"
# Exported, and on no panel: with the reason why.
NOT_SHOWN: Final[dict[str, str]] = {}
LABELS_OF_SCRAPING: Final = {"le", "pod", "instance"}


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Names of all metrics of the operator, with their labels."""
    clock, registry = FakeClock(), CollectorRegistry()
    manager = Manager(clock, Metrics(registry), strict=True)

    def dial(name: str, connection: object) -> Any:
        raise AssertionError("nobody is dialed")

    context = Context(manager.local(memory_cluster(clock)), manager, dial, Settings(), clock, registry)
    for kind in CONTROLLERS:
        manager.add(kind.make(context))
    manager.build()
    labels: dict[str, set[str]] = {}
    for collector in registry._collector_to_names:
        for family in collector.describe():
            found = {name for sample in family.samples for name in sample.labels}
            labels[family.name] = found | set(getattr(collector, "_labelnames", ())) | _labels_collected(collector)
    return labels


def _labels_collected(collector: Any) -> set[str]:
    return {name for family in collector.collect() for sample in family.samples for name in sample.labels}


def shown() -> dict[str, set[str]]:
    """Names of the operator's metrics on all panels, with the labels by which they are told apart."""
    found: dict[str, set[str]] = {}
    for path in DASHBOARDS.glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"]
                labels = {name for part in re.findall(r"by \((.*?)\)", expression) for name in part.split(", ")}
                labels |= set(re.findall(r"(\w+)=", expression)) | set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                for metric in re.findall(r"\bsojourn_operator_\w+", expression):
                    name = re.sub(r"_(total|bucket|sum|count)$", "", metric)
                    found.setdefault(name, set()).update(labels)
    return found


def test_every_metric_is_on_a_panel_or_is_known_not_to_be(exported: dict[str, set[str]]) -> None:
    assert len(exported) > 15
    assert set(exported) - set(shown()) == set(NOT_SHOWN)
    assert all(NOT_SHOWN.values())


def test_every_panel_shows_a_metric_and_labels_that_exist(exported: dict[str, set[str]]) -> None:
    for name, labels in shown().items():
        assert name in exported, name
        assert labels <= exported[name] | LABELS_OF_SCRAPING, name
