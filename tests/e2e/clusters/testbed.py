"""Both clusters as one thing: up, down and status. Each looks at what is there and does what is missing."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.clusters import cgroups, cluster, namespaces, needs, network, pki, processes, registry
from e2e.clusters.commands import ClusterError, wait_until
from e2e.clusters.layout import EAST, SITES, WEST, Site, cache_folder, state_folder
from e2e.clusters.network import Link
from e2e.clusters.programs import Programs, build_programs


@dataclass(frozen=True, slots=True)
class Status:
    """What is found of one cluster; `ready` means that it can run pods."""

    site: Site
    processes: int
    api: bool
    ready: bool


def up() -> bool:
    """Bring both clusters up, or leave them alone if both can run pods. True if they were started here.

    Raises:
        Unavailable: this machine cannot run them.
        ClusterError: a part did not start. What did start stays for a look, and `down` removes it.
    """
    needs.check()
    with _alone():
        programs = build_programs()
        if _complete(programs):
            return False
        _remove()
        registry.start()
        for site in SITES:
            pki.write_certificates(site)
        first = {site: cluster.begin(site, programs) for site in SITES}
        for site, pid in first.items():
            network.connect_to_machine(site, pid)
        Link().start(programs["wan"], first[EAST], first[WEST])
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda site: _start(site, first[site], programs), SITES))
        return True


def down() -> None:
    """Remove whatever there is of both clusters, however they ended. Images stay in the cache."""
    with _alone():
        _remove()


@contextmanager
def in_use() -> Iterator[None]:
    """Both clusters up within the block.

    Afterwards they go down again, unless somebody else brought them up or another test session still uses them.
    """
    needs.check()
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f"{state_folder().name}.users").open("w") as users:
        # Shared among those who use the clusters, and given back by the kernel for those who are killed.
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            if up():
                _started_by_tests().touch()
        except ClusterError:
            down()
            raise
        yield
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if _started_by_tests().exists():
            down()


def keep() -> None:
    """Leave the clusters up even if tests brought them up."""
    _started_by_tests().unlink(missing_ok=True)


def status() -> list[Status]:
    """Look at both clusters. Builds nothing: without programs no cluster is up."""
    found = []
    for site in SITES:
        running = len(processes.with_argument(site.marker))
        api = ready = False
        if running:
            programs = build_programs()
            api = cluster.is_ready(site, programs)
            ready = api and cluster.node_is_ready(site, programs)
        found.append(Status(site, running, api, ready))
    return found


def _start(site: Site, pid: int, programs: Programs) -> None:
    cluster.start_control_plane(site, pid, programs)
    cluster.start_node(site, pid, programs)
    try:
        wait_until(lambda: cluster.node_is_ready(site, programs), f"the node of {site.name} is ready", seconds=60)
        cluster.run_first_pod(site, programs)
    except ClusterError as error:
        raise ClusterError(f"{error}; {cluster.complaints(site)}") from error


def _complete(programs: Programs) -> bool:
    if not registry.runs() or not processes.with_argument(Link().marker):
        return False
    return all(cluster.is_ready(site, programs) and cluster.node_is_ready(site, programs) for site in SITES)


def _started_by_tests() -> Path:
    return state_folder() / "started-by-tests"


def _remove() -> None:
    for site in SITES:
        namespaces.remove(site)
    processes.end(Link().marker)
    registry.stop()
    for site in SITES:
        cgroups.remove(site.cgroup)
    network.close_range()
    if state_folder().exists():
        shutil.rmtree(state_folder())


@contextmanager
def _alone() -> Iterator[None]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    state_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f"{state_folder().name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
