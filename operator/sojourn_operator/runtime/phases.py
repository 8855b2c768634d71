"""Objects by phase, counted in the cache when Prometheus asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric

from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.objects import Resource


@dataclass(frozen=True, slots=True)
class ObjectsByPhase:
    """A gauge with one sample per phase, zeros included, so that a graph has no gaps.

    Args:
        name: of the metric.
        phases: values of status.phase, the first for objects without one; one that is not listed is shown while it is
            there.
    """

    cluster: Cluster
    resource: Resource
    name: str
    phases: Sequence[str]

    def describe(self) -> Iterable[Metric]:
        """The family without samples."""
        return (self._family(),)

    def collect(self) -> Iterable[Metric]:
        """The family, empty before there are caches."""
        family = self._family()
        try:
            objects = self.cluster.cached(self.resource).list()
        except KeyError:
            return ()  # the caches are made after the controllers
        found = Counter(dict.fromkeys(self.phases, 0))
        found.update(str(obj.get("status", {}).get("phase", self.phases[0])) for obj in objects)
        for phase, number in found.items():
            family.add_metric([phase], number)
        return (family,)

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self.name, f"Objects of kind {self.resource.kind} by phase.", labels=["phase"])
