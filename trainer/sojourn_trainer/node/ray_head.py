"""A Ray head on this machine, as a child process that lives and dies with the node."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from sojourn.api import TrainingJob
from sojourn.errors import SojournError
from sojourn_trainer.node.children import start_child, stop_group
from sojourn_trainer.node.ports import free_ports
from sojourn_trainer.settings import TrainerSettings

log = logging.getLogger(__name__)

_STARTED = "Ray runtime started"
_START_SECONDS = 120
_OBJECT_STORE_BYTES = 100 * 1024 * 1024  # no training data passes through it
_STOP_SECONDS = 10


class RayHead:
    """`ray start --head` with ports, folder and token of its own, so that several can run on one machine."""

    def __init__(self, job: TrainingJob, settings: TrainerSettings) -> None:
        self._cpus = wanted_cpus(job)
        self._dashboard = settings.dashboard
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._environment: Mapping[str, str] = {}
        self.address = ""
        self.dashboard_url = ""
        self.metrics_url = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """What the head and everybody who connects to it must have in the environment."""
        return self._environment

    def start(self) -> None:
        """Start the head and wait until it answers.

        Raises:
            SojournError: it does not come up; the message has its last words.
        """
        token = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
        self._environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONUNBUFFERED": "1",
        }
        # Ray puts sockets below this folder, and their paths must stay short.
        self._folder = Path(tempfile.mkdtemp(prefix="sj-", dir="/tmp" if Path("/tmp").is_dir() else None))
        port, dashboard, agent, metrics = free_ports(4)
        self.address = f"127.0.0.1:{port}"
        self.dashboard_url = f"http://127.0.0.1:{dashboard}" if self._dashboard else ""
        self.metrics_url = f"http://127.0.0.1:{metrics}/metrics"
        command = [
            str(Path(sys.executable).with_name("ray")),
            *("start", "--head", "--block", "--disable-usage-stats"),
            *("--node-ip-address", "127.0.0.1", "--port", str(port)),
            *("--num-cpus", str(self._cpus), "--object-store-memory", str(_OBJECT_STORE_BYTES)),
            *("--include-dashboard", str(self._dashboard), "--dashboard-port", str(dashboard)),
            *("--dashboard-agent-listen-port", str(agent), "--metrics-export-port", str(metrics)),
            *("--temp-dir", str(self._folder)),
        ]
        self._process = start_child(command, self._environment, stderr=subprocess.STDOUT)
        self._wait_until_started()

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The head's process, or None before `start`."""
        return self._process

    def stop(self) -> None:
        """End all of Ray's processes that this head has started, and remove its folder."""
        if self._process is not None:
            stop_group(self._process, signal.SIGTERM, _STOP_SECONDS)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until_started(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(_START_SECONDS, self._process.kill)
        watchdog.start()
        lines: list[str] = []
        try:
            for raw in self._process.stdout:
                lines.append(raw.decode(errors="replace").rstrip())
                log.info("ray: %s", lines[-1])
                if _STARTED in lines[-1]:
                    break
            else:
                raise SojournError(
                    f"Ray did not start on this machine: {' / '.join(lines[-5:]) or 'no output'}",
                    hint="The log has all of its output; a firewall on loopback or a full disk are common causes.",
                )
        finally:
            watchdog.cancel()
        threading.Thread(target=self._forward, args=(self._process.stdout,), daemon=True).start()

    def _forward(self, stream: IO[bytes]) -> None:
        for raw in stream:
            log.debug("ray: %s", raw.decode(errors="replace").rstrip())


def wanted_cpus(job: TrainingJob) -> int:
    """CPUs that Ray is told of: those of the machine, or as many as the workers reserve, if that is more."""
    workers = job.spec.workers
    return max(os.cpu_count() or 1, -(-int(workers.replicas * workers.resources.cpu_count * 1000) // 1000))
