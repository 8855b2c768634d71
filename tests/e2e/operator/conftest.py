"""A real API server for tests of the operator's runtime, and a namespace of each test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from e2e.clusters.access import Cluster
from helpers.port_contract import RESOURCES
from sojourn_operator.resources import CONFIG_MAPS, NAMESPACES
from sojourn_operator.runtime.api import ApiServer, Limits, Observer
from sojourn_operator.runtime.clock import SystemClock
from sojourn_operator.runtime.connection import Connection, from_kubeconfig_file
from sojourn_operator.runtime.port import ClusterPort

Connect = Callable[..., ApiServer]


@pytest.fixture(scope="session")
def connection(east: Cluster) -> Connection:
    """To the test cluster east."""
    return from_kubeconfig_file(str(east.kubeconfig))


@pytest.fixture(scope="session")
def connect(connection: Connection) -> Connect:
    """Makes ports: connect(limits=..., observe=..., connection=...)."""

    def make(
        limits: Limits | None = None, observe: Observer | None = None, connection: Connection = connection
    ) -> ApiServer:
        limits = limits or Limits(watch_seconds=5)
        return ApiServer(connection, RESOURCES, SystemClock(), limits=limits, observe=observe or _ignore)

    return make


@pytest.fixture(scope="session")
def port(connect: Connect) -> ApiServer:
    """A port of the session's own."""
    return connect()


@pytest.fixture
def namespace(port: ClusterPort) -> Iterator[str]:
    """A fresh namespace."""
    name = f"c-{uuid4().hex[:10]}"
    port.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    # Whoever was to take its finalizer off is gone.
    for table in port.list(CONFIG_MAPS, name, "rows").items:
        port.patch(CONFIG_MAPS, name, table["metadata"]["name"], {"metadata": {"finalizers": None}})
    port.delete(NAMESPACES, "", name)


def _ignore(verb: str, plural: str, code: int, seconds: float) -> None:
    pass
