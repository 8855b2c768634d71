"""Sojourn's custom resources on a cluster of the tests."""

from __future__ import annotations

import json
import time
from pathlib import Path

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from sojourn.api.crds import KINDS
from sojourn.api.meta import API_VERSION

FOLDER = Path(__file__).parents[2] / "manifests" / "crds"


def install_definitions(cluster: Cluster, patience: float = 30.0) -> None:
    """Apply them, and wait until the API server serves them all: it takes in new ones a moment later."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", FOLDER)
    end = time.monotonic() + patience
    while not _served(cluster):
        if time.monotonic() > end:
            raise ClusterError(f"{cluster.name} serves not all of {API_VERSION} after {patience:.0f} s")
        time.sleep(0.2)


def _served(cluster: Cluster) -> bool:
    try:
        found = json.loads(cluster.kubectl("get", "--raw", f"/apis/{API_VERSION}"))
    except ClusterError:
        return False
    return {kind.plural for kind in KINDS} <= {resource["name"] for resource in found["resources"]}
