"""What every controller is made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.cluster import Cluster, Remotes
from sojourn_operator.runtime.connection import Connection
from sojourn_operator.runtime.port import ClusterPort
from sojourn_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One for all controllers of an operator.

    `dial` makes the port of a remote cluster, `registry` takes metrics that a kind has of its own, and `home` is the
    operator's own namespace.
    """

    cluster: Cluster
    remotes: Remotes
    dial: Callable[[str, Connection], ClusterPort]
    settings: Settings
    clock: Clock
    registry: CollectorRegistry
    home: str = "default"
