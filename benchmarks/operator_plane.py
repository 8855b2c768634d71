"""A control plane for benchmarks: etcd, kube-apiserver, and the controllers of Jobs and of garbage, without a node."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from e2e.clusters.programs import build_programs
from sojourn_operator.resources import ALL
from sojourn_operator.runtime.api import ApiServer, Limits
from sojourn_operator.runtime.clock import SystemClock
from sojourn_operator.runtime.connection import from_kubeconfig_file

CRDS = Path(__file__).parents[1] / "manifests" / "crds"
CONTROLLERS = "job-controller,garbage-collector-controller,serviceaccount-controller"
_UNLIMITED = 100_000
_TOKEN = "benchmark"


@dataclass(frozen=True)
class Plane:
    """A running control plane; every user is its administrator."""

    kubeconfig: Path
    server: ApiServer
    folder: Path


@contextmanager
def control_plane(folder: Path) -> Iterator[Plane]:
    """Start it on free ports of 127.0.0.1 with its state in `folder`; it is ended and its state gone afterwards."""
    programs = build_programs()
    port, client, peer = free_port(), free_port(), free_port()
    key, tokens, kubeconfig = folder / "key", folder / "tokens", folder / "kubeconfig"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens.write_text(f'{_TOKEN},bench,bench,"system:masters"\n')
    kubeconfig.write_text(json.dumps(_kubeconfig(port, folder)))
    etcd = [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        # What a disk takes to sync is not what is measured here.
        "--unsafe-no-fsync",
        "--log-level=error",
    ]
    apiserver = [
        f"--etcd-servers=http://127.0.0.1:{client}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={tokens}",
        "--service-account-issuer=https://benchmark.local",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=RBAC",
        "--profiling=false",
    ]
    manager = [
        f"--kubeconfig={kubeconfig}",
        f"--controllers={CONTROLLERS}",
        f"--service-account-private-key-file={key}",
        # Otherwise the controllers of Kubernetes, and not the operator, would be what the jobs wait for.
        f"--kube-api-qps={_UNLIMITED}",
        f"--kube-api-burst={_UNLIMITED}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder / "etcd", ignore_errors=True)
        stack.enter_context(process([programs["etcd"], *etcd], folder / "etcd.log"))
        stack.enter_context(process([programs["kube-apiserver"], *apiserver], folder / "apiserver.log"))
        kubectl = [str(programs["kubectl"]), f"--kubeconfig={kubeconfig}"]
        wait_for([*kubectl, "get", "--raw", "/readyz"], 60)
        stack.enter_context(process([programs["kube-controller-manager"], *manager], folder / "manager.log"))
        subprocess.run([*kubectl, "apply", "--server-side", "-f", str(CRDS)], check=True, capture_output=True)
        wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]
        subprocess.run([*kubectl, *wait], check=True, capture_output=True)
        limits = Limits(_UNLIMITED, _UNLIMITED, connections=32)
        connection = from_kubeconfig_file(str(kubeconfig))
        yield Plane(kubeconfig, ApiServer(connection, ALL, SystemClock(), limits=limits), folder)


@contextmanager
def process(command: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended afterwards."""
    with log.open("wb") as output:
        started = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(command: Sequence[str], seconds: float) -> None:
    """Run a command until it succeeds.

    Raises:
        TimeoutError: with what it said last.
    """
    deadline = time.monotonic() + seconds
    while (done := subprocess.run(command, capture_output=True, check=False)).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{command}: {done.stderr.decode()[-1000:]}")
        time.sleep(0.2)


def _kubeconfig(port: int, folder: Path) -> dict[str, object]:
    # The API server makes its own certificate, and leaves that of its authority beside it in one file.
    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority": str(folder / "certificates" / "apiserver.crt"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "bench", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    }
