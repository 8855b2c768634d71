"""A driver as a child process: its events are read in the background, orders go to its standard input."""

from __future__ import annotations

import json
import logging
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from sojourn import events
from sojourn.api import TrainingJob
from sojourn_trainer.driver.commands import Command
from sojourn_trainer.driver.prepare import PreparedRun
from sojourn_trainer.node.children import start_child, stop_group
from sojourn_trainer.settings import read_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriverStart:
    """What a driver is told when it starts; see DriverOptions of the driver."""

    prepared: PreparedRun | None
    job: TrainingJob
    ray_address: str
    machines: int
    failures: int

    def command(self) -> list[str]:
        """The command line."""
        return [
            *(sys.executable, "-m", "sojourn_trainer.driver"),
            *(_of_run(self.prepared) if self.prepared is not None else ("--standby", self._write_job())),
            *("--ray-address", self.ray_address),
            *("--machines", str(self.machines), "--failures", str(self.failures)),
        ]

    def _write_job(self) -> str:
        folder = read_settings().scratch
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "standby.json"
        path.write_text(json.dumps(self.job.to_manifest()))
        return str(path)


def _of_run(prepared: PreparedRun) -> tuple[str, ...]:
    run = prepared.run
    return (
        *("--store", run.store, "--prefix", run.prefix, "--name", run.name, "--run-id", run.run_id),
        *("--job-folder", prepared.job_folder, "--spec-digest", prepared.spec_digest),
    )


class DriverProcess:
    """One driver from its start to its end."""

    def __init__(self, start: DriverStart, environment: Mapping[str, str]) -> None:
        self._process = start_child(start.command(), environment, stdin=subprocess.PIPE)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, command: Command) -> None:
        """Give an order; one that has ended takes none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            log.info("the driver ended before it was told: %s", command)

    def events(self) -> list[events.Event]:
        """The events since the last call."""
        found = []
        while not self._lines.empty():
            event = events.decode(self._lines.get().decode(errors="replace"))
            if event is not None:
                found.append(event)
        return found

    def end(self) -> int:
        """Kill what is left of it; returns its exit code, negative for a signal."""
        stop_group(self._process, signal.SIGKILL, 1)
        self._reader.join(5)
        return self._process.returncode

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(line)
