"""The clusters come up and go down again without a trace, however they ended. A second pair, so nobody else's stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import needs, processes
from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError, wait_until
from e2e.conftest import Clusters

pytestmark = pytest.mark.e2e

INSTANCE = "1"


@pytest.fixture
def second_pair(repository: Path, clusters: Clusters) -> Iterator[subprocess.Popen[bytes]]:
    """`up` of a second pair, just started; everything of it is gone afterwards."""
    if clusters.link is None:
        pytest.skip("clusters that were brought along are not this project's to start")
    before = traces()
    assert before == set(), "somebody uses the second pair: SOJOURN_E2E_INSTANCE=1 make clusters-down removes it"
    environment = {**os.environ, "SOJOURN_E2E_INSTANCE": INSTANCE}
    process = subprocess.Popen(command("up"), cwd=repository / "tests", env=environment)
    yield process
    process.kill()
    process.wait()
    run(repository, "down")


def command(verb: str) -> list[str]:
    return [sys.executable, "-m", "e2e.clusters", verb]


def run(repository: Path, verb: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(verb),
        cwd=repository / "tests",
        env={**os.environ, "SOJOURN_E2E_INSTANCE": INSTANCE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def traces() -> set[str]:
    """Everything on this machine that is of the second pair."""
    names = ("sojourn-east-1", "sojourn-west-1", "cluster-east-1", "cluster-west-1", "clusters-1/")
    in_network = (*names, "198.19.")
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            mounts = (process / "mountinfo").read_text()
            namespaces = {str((process / "ns" / kind).readlink()) for kind in ("mnt", "net", "pid", "uts")}
        except OSError:
            continue
        if any(name in line for name in names):
            found |= {f"process {line}", *(f"namespace {one}" for one in namespaces - own_namespaces())}
        found |= {f"mount {line}" for line in mounts.splitlines() if any(name in line for name in names)}
    for what in ("link", "route", "address"):
        listing = subprocess.run(["ip", "-oneline", what, "show"], capture_output=True, text=True, check=True).stdout
        found |= {f"{what} {line}" for line in listing.splitlines() if any(name in line for name in in_network)}
    found |= {f"cgroup {path}" for name in names[:2] for path in Path("/sys/fs/cgroup").glob(f"*/{name}")}
    return found


def own_namespaces() -> set[str]:
    return {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("mnt", "net", "pid", "uts")}


def namespaces_in_use(of: set[str]) -> set[str]:
    wanted = {trace.removeprefix("namespace ") for trace in of if trace.startswith("namespace ")}
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/*"):
        try:
            found.add(str(link.readlink()))
        except OSError:
            continue
    return wanted & found


def test_up_is_quick_and_down_leaves_nothing(
    repository: Path, second_pair: subprocess.Popen[bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    assert second_pair.wait(timeout=60) == 0
    assert time.monotonic() - started < 30
    there = traces()
    kinds = {trace.partition(" ")[0] for trace in there}
    assert kinds == {"process", "namespace", "mount", "link", "route", "address", "cgroup"}
    assert run(repository, "status").returncode == 0
    # Where both are up, there is nothing to do.
    again = run(repository, "up")
    assert again.returncode == 0
    assert "up in" not in again.stdout
    assert run(repository, "down").returncode == 0
    assert traces() == set()
    assert namespaces_in_use(there) == set()
    assert run(repository, "status").returncode == 1
    # Nothing to remove is no error.
    assert run(repository, "down").returncode == 0


def test_they_come_up_where_the_kernels_log_cannot_be_read(
    repository: Path, clusters: Clusters, tmp_path: Path
) -> None:
    if clusters.link is None:
        pytest.skip("clusters that were brought along are not this project's to start")
    with socket.socket(socket.AF_UNIX) as unreadable:
        unreadable.bind(str(tmp_path / "socket"))
        hide = '[ ! -e /dev/kmsg ] || mount --bind "$0" /dev/kmsg && exec "$@"'
        up = ["unshare", "--mount", "sh", "-c", hide, str(tmp_path / "socket"), *command("up")]
        try:
            subprocess.run(
                up, cwd=repository / "tests", env={**os.environ, "SOJOURN_E2E_INSTANCE": INSTANCE}, check=True
            )
        finally:
            run(repository, "down")
    assert traces() == set()


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5])
def test_what_a_killed_up_left_behind_is_removed(
    repository: Path, second_pair: subprocess.Popen[bytes], seconds: float
) -> None:
    wait_until(lambda: traces() != set(), "something of it is there", seconds=20, pause=0.02)
    time.sleep(seconds)
    second_pair.send_signal(signal.SIGKILL)
    second_pair.wait()
    left = traces()
    assert left
    assert run(repository, "down").returncode == 0
    assert traces() == set()
    assert namespaces_in_use(left) == set()


def test_the_clusters_come_up_again_after_one_of_them_died(
    repository: Path, second_pair: subprocess.Popen[bytes]
) -> None:
    assert second_pair.wait(timeout=60) == 0
    for pid in processes.with_argument("sojourn-test-cluster-east-1"):
        os.kill(pid, signal.SIGKILL)
    assert run(repository, "status").returncode == 1
    up = run(repository, "up")
    assert up.returncode == 0, up.stderr
    assert "up in" in up.stdout


def test_a_machine_without_go_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(needs.Unavailable, match=r"lacks .*Go.* buildah .*\(make setup-system\)"):
        needs.check()


@pytest.mark.parametrize("context", ["production", "kind-kind", "northeast"])
def test_a_context_that_is_not_named_for_tests_is_refused(tmp_path: Path, context: str) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(f"current-context: {context}\n")
    with pytest.raises(ClusterError, match=f"'{context}'"):
        Cluster.brought_along("east", kubeconfig, Path("kubectl"))


@pytest.mark.parametrize("context", ["kind-test", "team-e2e-1", "east"])
def test_a_context_that_is_named_for_tests_is_taken(tmp_path: Path, context: str) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(f"current-context: {context}\n")
    assert Cluster.brought_along("east", kubeconfig, Path("kubectl")).name == "east"
