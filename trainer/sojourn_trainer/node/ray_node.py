"""A Ray node as a child process that lives and dies with ours."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sojourn.errors import SojournError
from sojourn_trainer.node.children import start_child, stop_group

log = logging.getLogger(__name__)

_STARTED = "Ray runtime started"
_START_SECONDS = 120
_STOP_SECONDS = 10


@dataclass(frozen=True)
class RayPlan:
    """How to start a Ray node.

    Attributes:
        arguments: of `ray start`.
        environment: what it, and everybody who connects to it, must have in the environment.
        address: of the head's GCS, "host:port".
        dashboard_url: of the dashboard, "" where there is none.
        metrics_url: where Prometheus reads this node's metrics.
        folder: a folder to remove when the node has ended, or None.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    address: str
    dashboard_url: str = ""
    metrics_url: str = ""
    folder: Path | None = None


_NOT_STARTED = RayPlan((), {}, "")


@dataclass
class RayNode:
    """`ray start --block` and what belongs to it. `make_plan` is asked at each start, for ports that are free then."""

    make_plan: Callable[[], RayPlan]
    plan: RayPlan = field(default=_NOT_STARTED, init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the node and wait until it is part of its cluster.

        Raises:
            SojournError: it does not come up; the message has its last words.
        """
        self.plan = self.make_plan()
        ray = [sys.executable, "-m", "sojourn_trainer.node.ray_start"]
        command = [*ray, "start", "--block", "--disable-usage-stats", *self.plan.arguments]
        self.process = start_child(command, self.plan.environment, stderr=subprocess.STDOUT)
        self._wait_until_started(self.process)

    def stop(self, *, at_once: bool = False) -> None:
        """End all of Ray's processes that this node has started, and remove its folder.

        Args:
            at_once: do not let it say goodbye to a cluster that nobody needs any more, which takes seconds.
        """
        if self.process is not None:
            stop_group(self.process, signal.SIGKILL if at_once else signal.SIGTERM, _STOP_SECONDS)
            self.process = None
        if self.plan.folder is not None:
            shutil.rmtree(self.plan.folder, ignore_errors=True)

    def _wait_until_started(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        watchdog = threading.Timer(_START_SECONDS, process.kill)
        watchdog.start()
        lines: list[str] = []
        try:
            for raw in process.stdout:
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
        threading.Thread(target=_forward, args=(process.stdout,), daemon=True).start()


def _forward(stream: IO[bytes]) -> None:
    for raw in stream:
        log.debug("ray: %s", raw.decode(errors="replace").rstrip())
