"""Reports reach the API server in time, and its outages never reach training."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.object_server import ObjectServer, serve_object
from sojourn import events
from sojourn.incluster import ApiServer, ObjectClient, ObjectRef
from sojourn.progress.plain import PlainRenderer
from sojourn_trainer.node.pod import reporter as module
from sojourn_trainer.node.pod.evictions import add_eviction, evicted_pods, remove_evictions
from sojourn_trainer.node.pod.report import AttemptReport
from sojourn_trainer.node.pod.reporter import Reporter
from sojourn_trainer.node.pod.watcher import Requests

REF = ObjectRef("trainingattempts", "digits-1", "team")
WORKERS = events.Workers(time=1, ready=1, wanted=2)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[ObjectServer, ApiServer]]:
    with serve_object(tmp_path, REF, {"spec": {}, "status": {"conditions": [{"type": "Ready"}]}}) as served:
        yield served


def new_reporter(address: ApiServer, seconds: float = 3600.0) -> Reporter:
    return Reporter(ObjectClient(address, REF), AttemptReport({}, 0), {}, PlainRenderer(io.StringIO()), seconds)


def progress(step: int) -> events.Progress:
    return events.Progress(time=1, step=step, epoch=0, total_steps=100, loss=1.0)


def test_transitions_go_at_once_and_progress_waits(served: tuple[ObjectServer, ApiServer]) -> None:
    server, address = served
    reporter = new_reporter(address)
    reporter.start()
    assert reporter.flush(10)
    reporter.show(WORKERS)
    with server.changed:
        assert server.changed.wait_for(lambda: "workers" in server.object["status"], 10)
    sent = len(server.patches)
    for step in range(20):
        reporter.show(progress(step))
    assert len(server.patches) == sent
    assert reporter.flush(10)
    assert len(server.patches) == sent + 1
    assert server.object["status"]["step"] == 19
    assert server.object["status"]["conditions"] == [{"type": "Ready"}]
    assert "heartbeatTime" in server.object["status"]


def test_an_outage_delays_only_the_newest_state(
    served: tuple[ObjectServer, ApiServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01,))
    server, address = served
    refused = threading.Semaphore(0)

    def refuse(method: str, path: str) -> int:
        refused.release()
        return 503

    server.refuse = refuse
    reporter = new_reporter(address, seconds=0.01)
    reporter.start()
    for step in range(50):
        reporter.show(progress(step))
    for _ in range(3):
        assert refused.acquire(timeout=10)
    assert not reporter.flush(0.01)
    assert server.patches == []
    server.refuse = lambda method, path: 0
    assert reporter.flush(10)
    assert [patch["step"] for patch in server.patches if "step" in patch] == [49]


def test_nobody_waits_for_a_deleted_object(served: tuple[ObjectServer, ApiServer]) -> None:
    server, address = served
    server.refuse = lambda method, path: 404
    reporter = new_reporter(address)
    reporter.start()
    reporter.show(WORKERS)
    assert reporter.flush(10)


def test_pods_that_are_evicted_at_the_same_time_are_all_listed(served: tuple[ObjectServer, ApiServer]) -> None:
    _, address = served
    client = ObjectClient(address, REF)
    pods = [f"digits-1-{number}" for number in range(6)]
    threads = [threading.Thread(target=add_eviction, args=(client, pod, "2026-01-01T00:00:00Z")) for pod in pods]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(evicted_pods(client.get())) == pods
    remove_evictions(client, pods[1:])
    assert evicted_pods(client.get()) == pods[:1]


class Heard:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.given: list[str | None] = []

    def run_given(self, found: dict[str, Any]) -> None:
        self.given.append(found["spec"].get("runId"))

    def stop_asked(self, token: str, reason: str) -> None:
        self.calls.append(("stop", token, reason))

    def checkpoint_asked(self, token: str) -> None:
        self.calls.append(("checkpoint", token))

    def pod_leaving(self, pod: str) -> None:
        self.calls.append(("leaving", pod))


def test_each_request_is_heard_once() -> None:
    heard, requests = Heard(), Requests()
    evicted = [{"pod": "digits-1-1", "time": "2026-01-01T00:00:00Z"}]
    status = {"checkpointRequest": {"token": "old", "step": 3}, "evicted": evicted}
    found = {"spec": {"checkpointRequest": "old"}, "status": status}
    for _ in range(2):
        requests.tell(found, heard)
    assert heard.calls == [("leaving", "digits-1-1")]
    found["spec"] = {"checkpointRequest": "new", "stop": {"token": "s", "reason": "Suspend"}}
    status["evicted"] = []
    for _ in range(2):
        requests.tell(found, heard)
    assert heard.calls[1:] == [("stop", "s", "Suspend"), ("checkpoint", "new")]
    status |= {"evicted": evicted, "stopped": {"token": "s"}}
    requests.tell(found, heard)
    assert heard.calls[3:] == [("leaving", "digits-1-1")]
    again = Heard()
    Requests().tell(found, again)
    assert again.calls == [("checkpoint", "new"), ("leaving", "digits-1-1")]


def test_one_that_stands_by_is_given_its_run_when_that_ends() -> None:
    heard, requests = Heard(), Requests()
    requests.tell({"spec": {"standby": True}}, heard)
    assert heard.given == []
    requests.tell({"spec": {"standby": False, "runId": "r"}}, heard)
    assert heard.given == ["r"]
