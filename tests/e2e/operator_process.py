"""The operator as a process of this machine, in one namespace of a test cluster."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from e2e.clusters.access import Cluster
from e2e.rights import operator_kubeconfig


@dataclass
class OperatorProcess:
    """Starts, kills and starts again, with the rights that the chart gives. Its log is for when a test fails."""

    cluster: Cluster
    namespace: str
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it acts within seconds."""
        settings = {
            "kubeconfig": str(operator_kubeconfig(self.cluster, self.namespace, self.log.parent)),
            "namespace": self.namespace,
            "operator-namespace": self.namespace,
            "metrics-address": "",
            "health-address": "",
            "log-format": "text",
            "lease-seconds": "4",
            "renew-deadline-seconds": "3",
            "retry-seconds": "0.5",
            **self.settings,
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sojourn_operator", *flags], stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """SIGTERM, unless it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
