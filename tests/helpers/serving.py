"""A `sojourn serve` process and an exported run, as the serving tests use them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sojourn.client.export import Exported
from sojourn.runlog.log import RunLog
from sojourn.store.posix import PosixStore

PATIENCE = 60.0


@dataclass(frozen=True)
class Digits:
    """The MLP of sojourn_trainer.tasks.mlp with known weights, exported in all formats, and what was said meanwhile."""

    store: PosixStore
    log: RunLog
    weights: dict[str, np.ndarray]
    images: np.ndarray
    exported: Exported
    stages: list[str]

    @property
    def folder(self) -> Path:
        return self.store.root / self.log.prefix / "export" / "1"

    def expected(self, images: np.ndarray) -> np.ndarray:
        """What the network answers, by NumPy."""
        w = self.weights
        hidden = images.reshape(-1, 64) @ w["sequential/dense/kernel"] + w["sequential/dense/bias"]
        logits = np.maximum(hidden, 0) @ w["sequential/probabilities/kernel"] + w["sequential/probabilities/bias"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def sojourn(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "sojourn.cli.main", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@dataclass
class Server:
    """A `sojourn serve` process."""

    process: subprocess.Popen[str]
    address: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def pids(self) -> dict[int, int]:
        """The newest ready process of each replica, by the replica's number."""
        found = (re.search(r"replica (\d+) is ready after .* \(pid (\d+)\)", line) for line in list(self.lines))
        return {int(match[1]): int(match[2]) for match in found if match}

    def said(self, text: str) -> bool:
        return any(text in line for line in list(self.lines))

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON (or text) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            json_given = "json" in answer.headers.get("content-type", "")
            return answer.status, json.loads(data) if json_given else data.decode()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """Sum of a metric's samples over all labels."""
        text = self.request("GET", "/metrics")[1]
        samples = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, samples))

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait for another process to get somewhere."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting until {what}"
        time.sleep(0.02)


def start_server(*arguments: str, ready: bool = True) -> Server:
    """Start `sojourn serve` on a free port; return once it is ready, or with its address alone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sojourn.cli.main", "serve", *arguments, "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    server = Server(process)

    def follow() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            server.lines.append(line.rstrip())

    threading.Thread(target=follow, daemon=True).start()
    eventually(lambda: server.said(" on http://") or process.poll() is not None, "the server has its port")
    assert process.poll() is None, server.lines
    server.address = next(line for line in server.lines if " on http://" in line).rpartition(" ")[2]
    if ready:
        eventually(lambda: server.said("is ready after") or process.poll() is not None, "a replica is ready")
        assert process.poll() is None, server.lines
    return server
