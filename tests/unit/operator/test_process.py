"""The operator's process as kubelet and Prometheus see it: health, readiness, metrics, log lines, its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families
from urllib3.exceptions import HTTPError

from helpers.empty_api import EmptyApi, empty_api
from sojourn import __version__


@dataclass
class Process:
    """A replica, the API server that it talks to, and its two ports."""

    api: EmptyApi
    process: subprocess.Popen[bytes]
    metrics_port: int
    health_port: int
    log: Path

    def page(self, path: str) -> tuple[int, str]:
        """Code and text; (0, "") while nobody listens."""
        port = self.metrics_port if path == "/metrics" else self.health_port
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}{path}", timeout=5, retries=False)
        except HTTPError:
            return 0, ""
        return answer.status, answer.data.decode()

    def until(self, path: str, code: int, text: str) -> None:
        """Wait for a page, as a probe does."""
        self.wait(lambda: self.page(path) == (code, text), f"{path} says {code} {text!r}")

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{what}: {self.page('/readyz')} {self.log.read_text()}"
            time.sleep(0.05)

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        code, text = self.page("/metrics")
        assert code == 200
        families = text_string_to_metric_families(text)
        return {(it.name, frozenset(it.labels.items())): it.value for family in families for it in family.samples}

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Process]:
    with empty_api() as api:
        ports = free_ports(2)
        flags = {
            "kubeconfig": api.kubeconfig(tmp_path / "kubeconfig"),
            "metrics-address": f"127.0.0.1:{ports[0]}",
            "health-address": f"127.0.0.1:{ports[1]}",
            "retry-seconds": 0.1,
            "backoff-seconds": 0.05,
            "backoff-cap-seconds": 0.2,
        }
        command = [sys.executable, "-m", "sojourn_operator", *(f"--{name}={value}" for name, value in flags.items())]
        log = tmp_path / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, stderr=file, stdout=subprocess.DEVNULL)
        try:
            yield Process(api, process, ports[0], ports[1], log)
        finally:
            process.kill()
            process.wait(10)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(it.getsockname()[1]) for it in sockets]
    for it in sockets:
        it.close()
    return ports


def test_from_its_start_to_its_end(operator: Process) -> None:
    operator.until("/readyz", 200, "standing by\n")
    assert operator.page("/healthz") == (200, "ok\n")
    assert operator.samples()["sojourn_operator_leader", frozenset()] == 0
    assert operator.page("/elsewhere")[0] == 404

    operator.api.leases.set()
    operator.until("/readyz", 503, "the caches are not filled yet\n")
    assert operator.page("/healthz") == (200, "ok\n")

    operator.api.lists.set()
    operator.until("/readyz", 200, "leading\n")
    samples = operator.samples()
    assert samples["sojourn_operator_leader", frozenset()] == 1
    jobs = frozenset({"cluster": "", "resource": "trainingjobs"}.items())
    assert samples["sojourn_operator_cached_objects", jobs] == 0
    asked = {"cluster": "", "verb": "list", "resource": "trainingjobs"}
    assert samples["sojourn_operator_api_requests_total", frozenset({**asked, "code": "200"}.items())] >= 1
    assert samples["sojourn_operator_api_requests_total", frozenset({**asked, "code": "503"}.items())] >= 1
    assert samples["sojourn_operator_api_request_seconds_count", frozenset({"cluster": "", "verb": "list"}.items())] > 1
    assert samples["process_resident_memory_bytes", frozenset()] > 1e6

    operator.process.send_signal(signal.SIGTERM)
    assert operator.process.wait(30) == 0
    # Whoever stands by leads at once.
    assert operator.api.lease is not None
    assert operator.api.lease["spec"]["holderIdentity"] is None
    assert operator.api.lease["metadata"]["annotations"]["sojourn.dev/version"] == __version__

    lines = operator.lines()
    (started,) = (line for line in lines if line["message"] == "operator started")
    assert (started["level"], started["version"], started["home"]) == ("info", __version__, "default")
    assert set(started) == {"time", "level", "logger", "message", "version", "namespace", "home"}
    assert any(line["level"] == "warning" and "error" in line for line in lines)
