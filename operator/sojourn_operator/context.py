"""What every controller is made with."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.cluster import Cluster, Remotes
from sojourn_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One for all controllers of an operator. `registry` takes metrics that a kind has of its own."""

    cluster: Cluster
    remotes: Remotes
    settings: Settings
    clock: Clock
    registry: CollectorRegistry
