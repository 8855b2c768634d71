"""Starts one test cluster, in the order in which its parts need each other."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import yaml

from e2e.clusters import control_plane, namespaces, node
from e2e.clusters.cgroups import create as create_cgroups
from e2e.clusters.commands import ClusterError, run, wait_until
from e2e.clusters.layout import Site
from e2e.clusters.namespaces import inside, start_daemon
from e2e.clusters.programs import Programs


def start_control_plane(site: Site, pid: int, programs: Programs) -> None:
    """Start etcd and the API server, then the two that need it.

    Raises:
        ClusterError: the API server did not get ready.
    """

    def daemon(name: str, arguments: list[str]) -> None:
        start_daemon(pid, site, name, [str(programs[name]), *arguments])

    (site.folder / "etcd").mkdir(mode=0o700)
    daemon("etcd", control_plane.etcd(site))
    daemon("kube-apiserver", control_plane.kube_apiserver(site))
    wait_until(lambda: is_ready(site, programs), f"the API server of {site.name} is ready", seconds=60)
    daemon("kube-controller-manager", control_plane.kube_controller_manager(site))
    daemon("kube-scheduler", control_plane.kube_scheduler(site))
    kubectl(site, programs, "apply", "-f", "-", stdin=yaml.safe_dump_all(control_plane.role_bindings()))


def start_node(site: Site, pid: int, programs: Programs) -> None:
    """Start containerd and kubelet, which registers the node, and what a node's network needs."""
    for path, content in node.settings(site).items():
        file = site.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    create_cgroups(site.cgroup)
    start_containerd(site, pid, programs)
    # It gives up where containerd answers but does not run pods yet; systemd would start it again as well.
    again = ["sh", "-c", 'until "$0" "$@"; do sleep 0.2; done', str(programs["kubelet"])]
    start_daemon(pid, site, "kubelet", [*again, *node.kubelet(site)])
    start_daemon(pid, site, "kube-proxy", [str(programs["kube-proxy"]), f"--config={site.folder}/kube-proxy.yaml"])
    start_daemon(pid, site, "coredns", [str(programs["coredns"]), "-conf", f"{site.folder}/Corefile"])


def start_containerd(site: Site, pid: int, programs: Programs) -> None:
    """Start containerd on the images of earlier runs, without their containers."""
    site.images.mkdir(parents=True, exist_ok=True)
    start_daemon(pid, site, "containerd", ["containerd", "--config", f"{site.folder}/containerd.toml"])

    def ctr(*arguments: str | Path) -> str:
        return run(*inside(pid, "ctr", "--address", node.socket(site), "--namespace", "k8s.io", *arguments))

    def answers() -> bool:
        try:
            ctr("version")
        except ClusterError:
            return False
        return True

    wait_until(answers, f"containerd of {site.name} answers", seconds=30)
    if node.PAUSE_IMAGE not in ctr("images", "list", "--quiet").split():
        archive = site.folder / "pause.tar"
        write_image(archive, node.PAUSE_IMAGE, programs["pause"])
        ctr("images", "import", archive)


def is_ready(site: Site, programs: Programs) -> bool:
    """True if the API server says that it is ready."""
    try:
        kubectl(site, programs, "get", "--raw", "/readyz", "--request-timeout=2s")
    except ClusterError:
        return False
    return True


def node_is_ready(site: Site, programs: Programs) -> bool:
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    try:
        return kubectl(site, programs, "get", "node", site.node, "-o", f"jsonpath={path}") == "True"
    except ClusterError:
        return False


def run_first_pod(site: Site, programs: Programs) -> None:
    """Run a pod to see that the node can: a node calls itself ready before it ever made a container.

    Raises:
        ClusterError: the pod did not run; the message has its events.
    """
    name = "first"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "pause", "image": node.PAUSE_IMAGE, "imagePullPolicy": "Never"}],
        },
    }
    on_pod = (f"pod/{name}", "--namespace=kube-system")

    def accepted() -> bool:
        # The API server takes no pod before the namespace's service account is there.
        try:
            kubectl(site, programs, "apply", "-f", "-", stdin=json.dumps(pod))
        except ClusterError:
            return False
        return True

    wait_until(accepted, f"{site.name} accepts a pod", seconds=30)
    try:
        kubectl(site, programs, "wait", *on_pod, "--for=condition=Ready", "--timeout=60s")
    except ClusterError as error:
        told = kubectl(site, programs, "events", "--namespace=kube-system", f"--for=pod/{name}", "--types=Warning")
        raise ClusterError(f"{error}; {' '.join(told.split())[-600:]}") from error
    kubectl(site, programs, "delete", *on_pod, "--wait=false")


def complaints(site: Site) -> str:
    """The last errors in the logs of kubelet and containerd, for a message."""
    found = []
    for name, mark in (("kubelet", "E"), ("containerd", "")):
        lines = (site.folder / "log" / f"{name}.log").read_text(errors="replace").splitlines()
        errors = [line for line in lines if (mark and line.startswith(mark)) or "level=error" in line]
        found.append(f"{name}: {' / '.join(errors[-2:])[-600:] or 'no error in its log'}")
    return "; ".join(found)


def kubectl(site: Site, programs: Programs, *arguments: str, stdin: str | None = None) -> str:
    return run(programs["kubectl"], f"--kubeconfig={site.kubeconfig}", *arguments, stdin=stdin)


def begin(site: Site, programs: Programs) -> int:
    """Make the namespaces of a cluster and return their first process."""
    return namespaces.create(site, programs["pause"])


def write_image(archive: Path, name: str, program: Path) -> None:
    """Write an image that holds one program and starts it, as `docker save` would."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {config_name: config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    archive.write_bytes(_tar(files, mode=0o644))


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
