"""Breaks a test cluster's API server on purpose, and mends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from e2e.clusters import cluster, control_plane, namespaces, processes
from e2e.clusters.commands import ClusterError, wait_until
from e2e.clusters.layout import Site
from e2e.clusters.programs import build_programs

API_SERVER = "kube-apiserver"


@contextmanager
def frozen_api_server(site: Site) -> Iterator[None]:
    """Within the block connections stay open and nothing answers, as behind a router that lost its way."""
    pid = _api_server(site)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        # The process that brought it into the cluster has stopped itself with its child, and would outlive the cluster.
        for held in api_server_processes(site):
            os.kill(held, signal.SIGCONT)


@contextmanager
def stopped_api_server(site: Site) -> Iterator[None]:
    """Within the block connections are refused; afterwards a new API server is ready."""
    marker = _marker(site)
    processes.end(marker)
    try:
        yield
    finally:
        programs = build_programs()
        first = namespaces.first_process(site)
        if first is None:
            raise ClusterError(f"the cluster {site.name} went down while its API server was stopped")
        namespaces.start_daemon(
            first, site, API_SERVER, [str(programs[API_SERVER]), *control_plane.kube_apiserver(site)]
        )
        wait_until(lambda: cluster.is_ready(site, programs), f"the API server of {site.name} is back", seconds=60)


def api_server_processes(site: Site) -> Mapping[int, list[str]]:
    """Process id to command line of the API server and of what brought it into the cluster's namespaces."""
    return processes.with_argument(_marker(site))


def _api_server(site: Site) -> int:
    for pid, argv in api_server_processes(site).items():
        if Path(argv[0]).name == API_SERVER:
            return pid
    raise ClusterError(f"no API server of {site.name} runs")


def _marker(site: Site) -> str:
    # Its certificate's path is in no other command line but that of the process that brought it into the cluster.
    return f"--tls-cert-file={site.folder}/pki/apiserver.crt"
