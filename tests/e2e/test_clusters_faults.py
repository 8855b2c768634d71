"""An API server can be frozen and stopped, and is as good as before afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from e2e.clusters.faults import api_server_processes, frozen_api_server, stopped_api_server
from e2e.clusters.layout import Site

pytestmark = pytest.mark.e2e


@pytest.fixture
def site(west: Cluster) -> Site:
    if west.site is None:
        pytest.skip("clusters that were brought along are not this project's to break")
    return west.site


def test_a_frozen_api_server_does_not_answer_until_it_thaws(west: Cluster, site: Site) -> None:
    with frozen_api_server(site), pytest.raises(ClusterError, match=r"timeout|timed out|deadline"):
        west.kubectl("get", "--raw", "/readyz", "--request-timeout=2s")
    assert west.kubectl("get", "--raw", "/readyz", "--request-timeout=10s") == "ok"
    # One that stays stopped would outlive the cluster.
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] for pid in api_server_processes(site)]
    assert len(states) == 2
    assert "T" not in states


def test_a_stopped_api_server_refuses_and_comes_back_with_what_it_held(west: Cluster, site: Site) -> None:
    with west.namespace("faults") as namespace:
        with stopped_api_server(site), pytest.raises(ClusterError, match="refused"):
            west.kubectl("get", "namespace", namespace)
        assert west.get("namespace", namespace)["metadata"]["name"] == namespace
