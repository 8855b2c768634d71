"""The test clusters are real: nodes, Pod Security, Services, storage, images, and a link that tests can shape."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from kubernetes import client

from e2e.clusters import images as cluster_images
from e2e.clusters.access import Cluster, restricted_pod
from e2e.clusters.commands import ClusterError, wait_until
from e2e.clusters.network import Link
from e2e.clusters.volumes import claim

pytestmark = pytest.mark.e2e

SLEEP = ["python3", "-c", "import signal; signal.pause()"]
SERVE = ["python3", "-m", "http.server", "--directory", "/tmp", "8000"]
# Prints megabits per second.
DOWNLOAD = """
import sys, time, urllib.request
start = time.monotonic()
size = len(urllib.request.urlopen(sys.argv[1], timeout=30).read())
print(size * 8 / 1e6 / (time.monotonic() - start))
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()
except OSError as error:
    sys.exit(str(error))
"""

Start = Callable[..., None]


@pytest.fixture
def space(east: Cluster) -> Iterator[str]:
    """A namespace on east."""
    with east.namespace("clusters") as name:
        yield name


@pytest.fixture
def far_space(west: Cluster) -> Iterator[str]:
    """A namespace on west."""
    with west.namespace("clusters") as name:
        yield name


def run_pod(cluster: Cluster, namespace: str, pod: dict[str, object], until: str = "condition=Ready") -> None:
    pod["metadata"] = {**pod["metadata"], "namespace": namespace}  # type: ignore[dict-item]
    cluster.apply(pod)
    name = pod["metadata"]["name"]
    cluster.kubectl("wait", f"pod/{name}", f"--namespace={namespace}", f"--for={until}", "--timeout=120s")


def python(cluster: Cluster, namespace: str, pod: str, program: str, *arguments: str) -> str:
    return cluster.kubectl("exec", f"--namespace={namespace}", pod, "--", "python3", "-c", program, *arguments)


def reaches(cluster: Cluster, namespace: str, pod: str, address: str, port: int) -> bool:
    try:
        python(cluster, namespace, pod, CONNECT, address, str(port))
    except ClusterError:
        return False
    return True


@pytest.mark.parametrize("name", ["east", "west"])
def test_a_cluster_has_one_ready_node_of_the_pinned_version(name: str, request: pytest.FixtureRequest) -> None:
    cluster: Cluster = request.getfixturevalue(name)
    nodes = client.CoreV1Api(cluster.api).list_node().items
    ready = [condition.status for node in nodes for condition in node.status.conditions if condition.type == "Ready"]
    assert ready == ["True"]
    if cluster.node_address:
        version = json.loads(cluster.kubectl("version", "-o", "json"))
        assert version["serverVersion"]["gitVersion"] == version["clientVersion"]["gitVersion"]
        assert nodes[0].status.node_info.kubelet_version == version["serverVersion"]["gitVersion"]


def test_a_restricted_pod_runs_and_another_is_refused(east: Cluster, space: str, images: Mapping[str, str]) -> None:
    pod = restricted_pod("whoami", images["operator"], ["python3", "-c", "import os; print(os.getuid())"])
    run_pod(east, space, pod, "jsonpath={.status.phase}=Succeeded")
    assert east.kubectl("logs", f"--namespace={space}", "whoami").strip() == "65532"
    as_root = restricted_pod("root", images["operator"], SLEEP, spec={"securityContext": {"runAsUser": 0}})
    as_root["metadata"]["namespace"] = space
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        east.apply(as_root)


def test_a_pod_finds_a_service_by_name(east: Cluster, space: str, images: Mapping[str, str]) -> None:
    server = restricted_pod("server", images["operator"], SERVE)
    server["metadata"]["labels"] = {"app": "server"}
    run_pod(east, space, server)
    east.apply(service(space, "hello"))
    run_pod(east, space, restricted_pod("caller", images["operator"], SLEEP))
    for host in ("hello", f"hello.{space}.svc.cluster.local"):
        wait_until(lambda host=host: reaches(east, space, "caller", host, 80), f"{host} answers", seconds=20)


def test_pods_reach_the_other_clusters_api_server_unless_the_link_is_cut(
    east: Cluster, west: Cluster, space: str, images: Mapping[str, str], link: Link
) -> None:
    assert west.node_address
    run_pod(east, space, restricted_pod("caller", images["operator"], SLEEP))
    assert reaches(east, space, "caller", west.node_address, 6443)
    link.cut()
    assert not reaches(east, space, "caller", west.node_address, 6443)
    # The links to this machine are not part of the WAN.
    assert east.kubectl("get", "--raw", "/readyz") == west.kubectl("get", "--raw", "/readyz") == "ok"
    link.heal()
    wait_until(lambda: reaches(east, space, "caller", str(west.node_address), 6443), "the link is healed", seconds=10)


def test_the_link_has_the_rate_and_delay_that_were_asked(
    east: Cluster, west: Cluster, space: str, far_space: str, images: Mapping[str, str], link: Link
) -> None:
    make = f"head -c 8000000 /dev/zero > /tmp/zeros && exec {' '.join(SERVE)}"
    server = restricted_pod("server", images["operator"], ["sh", "-c", make])
    server["metadata"]["labels"] = {"app": "server"}
    run_pod(west, far_space, server)
    west.apply(service(far_space, "zeros", "NodePort"))
    port = west.get("service", "zeros", far_space)["spec"]["ports"][0]["nodePort"]
    run_pod(east, space, restricted_pod("caller", images["operator"], SLEEP))
    address = str(west.node_address)
    wait_until(lambda: reaches(east, space, "caller", address, port), "the node port answers", seconds=20)

    def megabits() -> float:
        return float(python(east, space, "caller", DOWNLOAD, f"http://{address}:{port}/zeros"))

    unshaped = megabits()
    link.shape(rate_mbit=40)
    shaped = megabits()
    assert unshaped > 100
    assert 25 < shaped < 42
    link.shape(delay_ms=100)
    started = time.monotonic()
    python(east, space, "caller", CONNECT, address, str(port))
    assert time.monotonic() - started > 0.2
    assert link.state().bytes_to_east > 16_000_000


def test_both_clusters_can_mount_one_folder(
    east: Cluster, west: Cluster, space: str, far_space: str, images: Mapping[str, str], folder: Path
) -> None:
    volumes = [{"name": "store", "persistentVolumeClaim": {"claimName": "store"}}]
    mounts = [{"name": "store", "mountPath": "/store"}]
    for cluster, namespace, program in (
        (east, space, "open('/store/note', 'w').write('from east')"),
        (west, far_space, "print(open('/store/note').read())"),
    ):
        cluster.apply(*claim(namespace, "store", folder))
        command = ["python3", "-c", program]
        extra = {"container": {"volumeMounts": mounts}, "spec": {"volumes": volumes}}
        pod = restricted_pod("one", images["operator"], command, **extra)
        run_pod(cluster, namespace, pod, "jsonpath={.status.phase}=Succeeded")
    assert west.kubectl("logs", f"--namespace={far_space}", "one").strip() == "from east"


@pytest.mark.parametrize("target", cluster_images.TARGETS)
def test_an_image_starts_sojourn(east: Cluster, space: str, images: Mapping[str, str], target: str) -> None:
    pod = restricted_pod("sojourn", images[target], ["sojourn", "--version"])
    run_pod(east, space, pod, "jsonpath={.status.phase}=Succeeded")
    assert "sojourn" in east.kubectl("logs", f"--namespace={space}", "sojourn")


def test_a_tag_follows_names_and_contents_and_no_times(tmp_path: Path) -> None:
    for name in ("core", "requirements"):
        (tmp_path / name).mkdir()
    file = tmp_path / "core" / "a.py"
    file.write_text("a = 1\n")
    before = cluster_images.digest(tmp_path, "base")
    file.touch()
    assert cluster_images.digest(tmp_path, "base") == before
    file.write_text("a = 2\n")
    assert cluster_images.digest(tmp_path, "base") != before
    file.write_text("a = 1\n")
    file.rename(tmp_path / "core" / "b.py")
    assert cluster_images.digest(tmp_path, "base") != before


def service(namespace: str, name: str, kind: str = "ClusterIP") -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": kind, "selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8000}]},
    }
