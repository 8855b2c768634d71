"""Starts the node process on a job, as `sojourn run` and a pod do, and follows its events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from sojourn import events
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import find_run
from sojourn.store.open import open_store

EVENT_SECONDS = 120
TASKS = Path(__file__).parents[1] / "trainer"


class Node:
    """One node process and what it says."""

    program = ("sojourn_trainer.node", "run", "--events", "json", "--job")

    def __init__(
        self, folder: Path, manifest: Mapping[str, Any], environment: Mapping[str, str], *arguments: str
    ) -> None:
        self.store = open_store(str(folder / "store"))
        self.name = manifest["metadata"]["name"]
        job = folder / "job.json"
        job.write_text(json.dumps(manifest))
        self.log = folder / f"node-{time.monotonic_ns()}.log"
        path = os.pathsep.join(filter(None, (str(TASKS), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", *self.program, str(job)),
                *("--store", self.store.uri, *arguments),
            ],
            env={**os.environ, "SOJOURN_DASHBOARD": "0", "PYTHONPATH": path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
            start_new_session=True,
        )
        self.events: list[events.Event] = []

    def until(self, wanted: Callable[[events.Event], bool]) -> events.Event:
        """Read events up to one that is wanted."""
        deadline = time.monotonic() + EVENT_SECONDS
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = events.decode(line.decode())
            assert event is not None, line
            self.events.append(event)
            if wanted(event):
                return event
            assert time.monotonic() < deadline, f"not seen in {EVENT_SECONDS} s: {self.events[-3:]}"
        raise AssertionError(f"the node ended: {self.events[-3:]}\n{self.log.read_text()[-3000:]}")

    def until_committed(self, step: int) -> events.Event:
        return self.until(lambda event: isinstance(event, events.Committed) and event.step >= step)

    def finish(self) -> int:
        """Read to the end; returns the exit code."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = events.decode(line.decode())
            assert event is not None, line
            self.events.append(event)
        return self.process.wait(EVENT_SECONDS)

    def of(self, kind: type[events.Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def run_log(self) -> RunLog:
        return find_run(self.store, self.name)

    def descendants(self, word: str) -> list[int]:
        """Process ids below the node whose command line holds a word."""
        return [pid for pid in below(self.process.pid) if word in command_of(pid)]

    def close(self) -> None:
        """End everything that is left of it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                for pid in [*below(self.process.pid), self.process.pid]:
                    os.kill(pid, signal.SIGKILL)
                self.process.wait()


class CommandLine(Node):
    """`sojourn run`, which starts the node."""

    program = ("sojourn", "run", "--output", "json")


def manifest(**spec: Any) -> dict[str, Any]:
    """The harness's small job with a pace that lets commits keep up; `spec` replaces whole fields."""
    text = """
apiVersion: sojourn.dev/v1alpha1
kind: TrainingJob
metadata: {name: digits}
spec:
  strategy: MultiWorkerMirroredStrategy
  workers: {replicas: 2, resources: {cpu: "0.5", memory: 1Gi}}
  task: {entrypoint: "models_for_tests:cnn"}
  data: {source: {builtin: {name: digits}}, normalize: MinMax}
  training: {globalBatchSize: 128, steps: 60, seed: 7}
  checkpoint: {every: {steps: 5}}
"""
    loaded: dict[str, Any] = yaml.safe_load(text)
    loaded["spec"] |= spec
    return loaded


def below(pid: int) -> list[int]:
    """Process ids of all descendants."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and parent_of(int(folder.name)) == pid:
            found += [int(folder.name), *below(int(folder.name))]
    return found


def parent_of(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def command_of(pid: int) -> str:
    """Command line of a process, "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
