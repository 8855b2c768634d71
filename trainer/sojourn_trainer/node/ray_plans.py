"""How Ray is started: on one machine, with ports, folder and token of its own; in pods, with the ports they publish."""

from __future__ import annotations

import math
import os
import secrets
import tempfile
from pathlib import Path

from sojourn.api import TrainingJob
from sojourn_trainer.node.pod.settings import PodSettings
from sojourn_trainer.node.ports import free_ports
from sojourn_trainer.node.ray_node import RayNode, RayPlan
from sojourn_trainer.settings import TrainerSettings

_OBJECT_STORE_BYTES = 100 * 1024 * 1024  # no training data passes through it
_WORKER_PORTS = ("--min-worker-port", "10002", "--max-worker-port", "19999")
# How long a worker's node looks for a head that was started again before it ends and joins anew.
_HEAD_LOST_SECONDS = "15"


def local_head(job: TrainingJob, settings: TrainerSettings) -> RayNode:
    """A head on the loopback interface, so that several can run on one machine."""
    return RayNode(lambda: _local_head(job, settings))


def _local_head(job: TrainingJob, settings: TrainerSettings) -> RayPlan:
    port, dashboard, agent, metrics = free_ports(4)
    # Ray puts sockets below this folder, and their paths must stay short.
    folder = Path(tempfile.mkdtemp(prefix="sj-", dir="/tmp" if Path("/tmp").is_dir() else None))
    # Killed workers leave files behind (TensorFlow writes one per traced function), so these go with the folder, too.
    temporary = folder / "tmp"
    temporary.mkdir()
    arguments = (
        *("--head", "--no-monitor", "--node-ip-address", "127.0.0.1", "--port", str(port)),
        *("--num-cpus", str(wanted_cpus(job)), "--object-store-memory", str(_OBJECT_STORE_BYTES)),
        *("--include-dashboard", str(settings.dashboard), "--dashboard-port", str(dashboard)),
        *("--dashboard-agent-listen-port", str(agent), "--metrics-export-port", str(metrics)),
        *("--temp-dir", str(folder)),
    )
    return RayPlan(
        arguments=arguments,
        environment=_environment(os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32))
        | {"TMPDIR": str(temporary)},
        address=f"127.0.0.1:{port}",
        dashboard_url=f"http://127.0.0.1:{dashboard}" if settings.dashboard else "",
        metrics_url=f"http://127.0.0.1:{metrics}/metrics",
        folder=folder,
    )


def pod_head(job: TrainingJob, pod: PodSettings) -> RayNode:
    """The head of an attempt's pods, which is a worker's machine as well."""
    return RayNode(lambda: _pod_head(job, pod))


def _pod_head(job: TrainingJob, pod: PodSettings) -> RayPlan:
    _, _, port = pod.head_address.rpartition(":")
    arguments = (
        *("--head", "--no-monitor", "--port", port, "--include-dashboard", "True"),
        *("--dashboard-host", "0.0.0.0", "--dashboard-port", str(pod.dashboard_port)),
        *_pod_arguments(job, pod),
    )
    return RayPlan(
        arguments=arguments,
        environment=_environment(pod.ray_token),
        address=f"{pod.address}:{port}",
        dashboard_url=f"http://{pod.address}:{pod.dashboard_port}",
        metrics_url=f"http://{pod.address}:{pod.metrics_port}/metrics",
    )


def pod_worker(job: TrainingJob, pod: PodSettings) -> RayNode:
    """One more machine for the head."""
    return RayNode(lambda: _pod_worker(job, pod))


def _pod_worker(job: TrainingJob, pod: PodSettings) -> RayPlan:
    return RayPlan(
        arguments=("--address", pod.head_address, *_pod_arguments(job, pod)),
        environment=_environment(pod.ray_token) | {"RAY_gcs_rpc_server_reconnect_timeout_s": _HEAD_LOST_SECONDS},
        address=pod.head_address,
        metrics_url=f"http://{pod.address}:{pod.metrics_port}/metrics",
    )


def _pod_arguments(job: TrainingJob, pod: PodSettings) -> tuple[str, ...]:
    return (
        *("--node-ip-address", pod.address, "--metrics-export-port", str(pod.metrics_port)),
        *("--num-cpus", str(max(1, math.ceil(job.spec.workers.resources.cpu_count)))),
        *("--object-store-memory", str(_OBJECT_STORE_BYTES), "--dashboard-agent-listen-port", str(pod.agent_port)),
        *_WORKER_PORTS,
    )


def _environment(token: str) -> dict[str, str]:
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONUNBUFFERED": "1",
    }


def wanted_cpus(job: TrainingJob) -> int:
    """CPUs that a local Ray is told of: the machine's, or as many as the workers reserve, if that is more."""
    workers = job.spec.workers
    return max(os.cpu_count() or 1, math.ceil(round(workers.replicas * workers.resources.cpu_count, 3)))
