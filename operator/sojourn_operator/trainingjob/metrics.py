"""Jobs by phase, counted in the cache when Prometheus asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric

from sojourn.api.status import Phase
from sojourn_operator.resources import TRAINING_JOBS
from sojourn_operator.runtime.cluster import Cluster

NAME = "sojourn_operator_training_jobs"


class JobsByPhase:
    """One sample per phase, zeros included, so that a graph has no gaps."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def describe(self) -> Iterable[Metric]:
        return (_family(),)

    def collect(self) -> Iterable[Metric]:
        try:
            jobs = self._cluster.cached(TRAINING_JOBS).list()
        except KeyError:
            return ()  # the caches are made after the controllers
        phases = Counter(job.get("status", {}).get("phase", "Pending") for job in jobs)
        family = _family()
        for phase in get_args(Phase):
            family.add_metric([phase], phases[phase])
        return (family,)


def _family() -> GaugeMetricFamily:
    return GaugeMetricFamily(NAME, "TrainingJobs by phase.", labels=["phase"])
