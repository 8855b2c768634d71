"""Replicas that die, drain and restart, and servers that stop: what clients notice of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from helpers.serving import Digits, Server, eventually, sojourn, start_server
from sojourn.client.predict import Predictor

pytestmark = pytest.mark.tensorflow

BODY = json.dumps({"instances": [[[0.5] * 8] * 8]}).encode()


@dataclass
class Load:
    """What clients that never pause have seen."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def load(server: Server, clients: int = 4) -> Iterator[Load]:
    """Clients with keep-alive connections and no second tries."""
    seen, stop = Load(), threading.Event()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while not stop.is_set():
            try:
                connection.request("POST", "/v1/models/digits:predict", BODY)
                answer = connection.getresponse()
                if answer.status != 200:
                    seen.failures.append(f"{answer.status} {answer.read()!r}")
                answer.read()
                seen.answered += 1
            except (http.client.HTTPException, OSError) as error:
                seen.failures.append(repr(error))
                connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    yield seen
    stop.set()
    for thread in threads:
        thread.join()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_replica_costs_its_own_requests_only_and_is_replaced(server: Server) -> None:
    victim = server.pids()[0]

    with load(server) as seen:
        eventually(lambda: seen.answered > 50, "the load runs")
        os.kill(victim, signal.SIGKILL)
        answered = seen.answered
        eventually(lambda: seen.answered > answered + 300, "service goes on")
    eventually(lambda: server.pids()[0] != victim, "the replica is replaced")

    # At most what the killed process was answering: one request of each client.
    assert len(seen.failures) <= 4, seen.failures
    assert server.said(f"replica 0 (pid {victim}) was killed by SIGKILL; starting it again in 0 s")
    assert server.metric("sojourn_serving_replica_restarts_total") >= 1
    assert server.metric("sojourn_serving_ready_replicas") == 2


def test_a_client_that_tries_again_never_notices_a_killed_replica(server: Server, digits: Digits) -> None:
    victim = server.pids()[1]
    with Predictor(server.address) as predictor:
        for round_number in range(100):
            if round_number == 10:
                os.kill(victim, signal.SIGKILL)
            assert predictor(digits.images[:1])["probabilities"].shape == (1, 10)
    eventually(lambda: server.pids()[1] != victim, "the replica is replaced")


def test_a_draining_replica_loses_no_request(server: Server) -> None:
    victim = server.pids()[0]

    with load(server) as seen:
        eventually(lambda: seen.answered > 50, "the load runs")
        os.kill(victim, signal.SIGTERM)
        eventually(lambda: not alive(victim), "the replica has left")
        answered = seen.answered
        eventually(lambda: seen.answered > answered + 200, "the other replica serves")
    eventually(lambda: server.pids()[0] != victim, "the replica is replaced")

    assert seen.failures == []
    assert server.said(f"replica 0 (pid {victim}) left; starting it again in 0 s")


def test_a_server_is_not_ready_while_it_starts_and_finishes_what_it_began_when_it_stops(digits: Digits) -> None:
    server = start_server(str(digits.folder), "--name", "digits", "--drain-delay", "1", ready=False)
    assert server.request("GET", "/healthz") == (200, {"live": True})
    assert server.request("GET", "/readyz")[0] == 503
    status, document = server.request("POST", "/v1/models/digits:predict", BODY)
    assert (status, document) == (503, {"error": "starting: no replica has loaded the model yet"})

    with Predictor(server.address, model="digits", wait=60) as predictor:
        assert predictor(digits.images)["probabilities"].shape == (16, 10)
    replica = server.pids()[0]

    slow = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    slow.putrequest("POST", "/v1/models/digits:predict")
    slow.putheader("content-length", str(len(BODY)))
    slow.endheaders(BODY[:20])
    eventually(lambda: server.metric("sojourn_serving_in_flight") == 2, "the slow request has begun")
    server.process.send_signal(signal.SIGTERM)
    # Not ready but still accepting: whoever balances load has the drain delay to notice.
    eventually(lambda: server.request("GET", "/readyz") == (503, {"ready": False}), "readiness is off")
    assert server.request("POST", "/v1/models/digits:predict", BODY)[0] == 200
    slow.send(BODY[20:])
    answer = slow.getresponse()

    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    assert server.process.wait(timeout=30) == 0
    assert not alive(replica)
    with pytest.raises(ConnectionRefusedError):
        server.request("GET", "/healthz")


def test_a_killed_supervisor_leaves_no_process_behind(digits: Digits) -> None:
    server = start_server(str(digits.folder), "--name", "digits")
    replica = server.pids()[0]
    assert server.request("POST", "/v1/models/digits:predict", BODY)[0] == 200

    server.process.kill()
    killed = time.monotonic()
    eventually(lambda: not alive(replica), "the replica has left")

    assert time.monotonic() - killed < 10


def test_an_export_whose_answers_changed_is_not_served(digits: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "digits" / "1"
    for file in digits.folder.rglob("*"):
        if file.is_file():
            target = folder / file.relative_to(digits.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    with np.load(folder / "golden.npz") as stored:
        arrays = dict(stored)
    np.savez(folder / "golden.npz", **{**arrays, "outputs/probabilities": arrays["outputs/probabilities"][::-1]})

    refused = sojourn("serve", str(tmp_path / "digits"), "--port", "0", "--replicas", "1")

    assert refused.returncode == 5
    assert "output 'probabilities' for the golden inputs is not what was recorded at export" in refused.stderr


def test_a_run_without_an_export_names_the_command(digits: Digits) -> None:
    refused = sojourn("serve", "digits@7", "--store", str(digits.store.root))

    assert refused.returncode == 1
    assert "Make one: sojourn export digits@7 --store" in refused.stderr
