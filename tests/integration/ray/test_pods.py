"""Two pods of an attempt as processes on two loopback addresses, with an API server that knows one object."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from node import TASKS, below, manifest

from helpers.object_server import ObjectServer, merge, serve_object
from sojourn.api.attempt_status import TrainingAttemptStatus
from sojourn.checkpoint.verify import verify_run
from sojourn.incluster import ObjectRef
from sojourn.runlog.records import Recipient
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore
from sojourn_trainer.node.pod.outcome import EVICTED
from sojourn_trainer.node.ports import free_ports

pytestmark = [pytest.mark.ray, pytest.mark.tensorflow, pytest.mark.slow]

REF = ObjectRef("trainingattempts", "digits-1", "team")
SECONDS = 150


class Pods:
    """The pods of one attempt, and the object that they report to."""

    def __init__(self, folder: Path, server: ObjectServer, port: int) -> None:
        self.folder = folder
        self.server = server
        self.head_address = f"127.0.0.1:{free_ports(1)[0]}"
        self.variables = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(port),
            "SOJOURN_SERVICE_ACCOUNT": str(folder),
            "SOJOURN_ATTEMPT_NAMESPACE": REF.namespace,
            "SOJOURN_ATTEMPT_NAME": REF.name,
            "SOJOURN_HEAD_ADDRESS": self.head_address,
            "SOJOURN_STORE": str(folder / "store"),
            "SOJOURN_REPORT_SECONDS": "0.5",
            "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(TASKS), os.environ.get("PYTHONPATH")))),
        }
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, index: int, name: str) -> subprocess.Popen[bytes]:
        dashboard, metrics, agent = free_ports(3)
        own = {
            "SOJOURN_ROLE": "worker" if index else "head",
            "SOJOURN_DASHBOARD_PORT": str(dashboard),
            "SOJOURN_METRICS_PORT": str(metrics),
            "SOJOURN_AGENT_PORT": str(agent),
            "POD_NAME": name,
            "POD_UID": f"uid-of-{name}",
            "POD_IP": f"127.0.0.{index + 1}",
        }
        command = [sys.executable, "-m", "sojourn_trainer.node", "pod"]
        with (self.folder / f"{name}.out").open("wb") as out:
            environment = {**os.environ, **self.variables, **own}
            self.started.append(
                subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
            )
        return self.started[-1]

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.object.get("status", {})
        return found

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        with self.server.changed:
            while not wanted(self.status):
                left = deadline - time.monotonic()
                assert left > 0, f"{self.status}\n{self.output()}"
                self.server.changed.wait(left)
        return self.status

    def ask(self, **spec: Any) -> None:
        self.server.set(merge(self.server.object, {"spec": spec}))

    def output(self) -> str:
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in sorted(self.folder.glob("*.out")))

    def close(self) -> None:
        for process in self.started:
            for pid in [*below(process.pid), process.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            process.wait()


def attempt(**spec: Any) -> dict[str, Any]:
    job = manifest(
        **{
            "task": {"entrypoint": "models_for_tests:paced"},
            "training": {"globalBatchSize": 128, "steps": 100_000, "seed": 7},
            "checkpoint": {"every": {"steps": 1000}},
        }
        | spec
    )["spec"]
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "TrainingAttempt",
        "spec": {"jobName": "digits", "jobUID": "u", "number": 1, "job": job, "priorFailures": 0},
    }


@pytest.fixture
def start_pods(tmp_path: Path) -> Iterator[Callable[[Mapping[str, Any]], Pods]]:
    served: list[Any] = []

    def start(found: Mapping[str, Any]) -> Pods:
        context = serve_object(tmp_path, REF, dict(found), tls=True)
        server, address = context.__enter__()
        served.append(context)
        served.append(Pods(tmp_path, server, address.port))
        return served[-1]

    yield start
    for item in reversed(served):
        if isinstance(item, Pods):
            item.close()
        else:
            item.__exit__(None, None, None)


def test_an_attempt_from_start_to_stop(start_pods: Callable[[Mapping[str, Any]], Pods]) -> None:
    pods = start_pods(attempt())
    head, worker = pods.start(0, "head"), pods.start(1, "worker")
    status = pods.until(lambda status: status.get("phase") == "Running" and status.get("step", 0) > 5)
    assert status["head"]["uid"] == "uid-of-head"
    assert status["workers"] == {"wanted": 2, "ready": 2}
    assert "wait for machines" in [phase["phase"] for phase in status["launch"]]

    # The API server is away: training goes on, and the newest state comes when it is back.
    pods.server.refuse = lambda method, path: 503
    before = status["step"]
    time.sleep(2)
    pods.server.refuse = lambda method, path: 0
    pods.until(lambda status: status["step"] > before + 5)

    pods.ask(checkpointRequest="nightly")
    status = pods.until(lambda status: status.get("checkpointRequest", {}).get("token") == "nightly")
    assert status["checkpointRequest"]["step"] == status["lastCommit"]["step"] > before

    # A worker that goes alone waits for a commit; then its replacement joins and nothing counts as a failure.
    worker.send_signal(signal.SIGTERM)
    pods.until(lambda status: [entry["pod"] for entry in status.get("evicted", ())] == ["worker"])
    committed = pods.until(lambda status: not status["evicted"])["lastCommit"]["step"]
    assert worker.wait(60) == EVICTED
    pods.start(1, "worker-2")
    status = pods.until(lambda status: status["run"]["term"] == 2 and status["phase"] == "Running")
    assert status["step"] >= committed
    assert status["failures"] == 0

    pods.ask(stop={"token": "s1", "reason": "Suspend"})
    status = pods.until(lambda status: "stopped" in status)
    assert head.wait(60) == 0
    log = find_run(PosixStore(pods.folder / "store"), "digits", "team")
    assert log.state.latest is not None
    assert status["stopped"] == {"token": "s1", "step": log.state.latest.step}
    assert (status["phase"], status["outcome"]["reason"]) == ("Suspended", "Stopped")
    TrainingAttemptStatus.model_validate(status)
    assert not verify_run(log).problems
    kept = pods.folder / "store" / log.prefix / "logs" / "digits-1" / "head.log"
    assert "suspended at step" in kept.read_text()
    # Another pod of the attempt finds everything done.
    assert pods.start(0, "late").wait(60) == 0

    # The run goes elsewhere: an attempt that starts all the same is told so.
    commit = log.state.latest
    log.fence(
        expected_term=log.state.term,
        expected_commit=commit.manifest,
        recipient=Recipient(run_id="r", cluster="west"),
        migration_id="m",
    )
    pods.server.set(attempt())
    assert pods.start(0, "fenced").wait(60) == 4
    assert pods.status["outcome"]["reason"] == "OwnedElsewhere"
    assert "west" in pods.status["outcome"]["message"]


def test_pods_that_stand_by_train_the_run_that_they_are_given(start_pods: Callable[[Mapping[str, Any]], Pods]) -> None:
    found = attempt()
    pods = start_pods({**found, "spec": {**found["spec"], "standby": True}})
    head = pods.start(0, "head")
    pods.start(1, "worker")
    status = pods.until(lambda status: status.get("phase") == "Standby")
    assert status["workers"] == {"wanted": 2, "ready": 2}
    assert "run" not in status
    assert not (pods.folder / "store").exists()
    pods.ask(standby=False)
    status = pods.until(lambda status: status.get("phase") == "Running" and status.get("step", 0) > 5)
    launch = {phase["phase"]: phase["seconds"] for phase in status["launch"]}
    # What takes longest was done before.
    assert launch["import TensorFlow"] < 0.5
    pods.ask(stop={"token": "s1", "reason": "Suspend"})
    status = pods.until(lambda status: "stopped" in status)
    assert head.wait(60) == 0
    assert status["stopped"]["step"] == status["lastCommit"]["step"] > 5


def test_pods_that_stand_by_stop_when_asked(start_pods: Callable[[Mapping[str, Any]], Pods]) -> None:
    found = attempt(workers={"replicas": 1}, strategy="Default")
    pods = start_pods({**found, "spec": {**found["spec"], "standby": True}})
    head = pods.start(0, "head")
    pods.until(lambda status: status.get("phase") == "Standby")
    pods.ask(stop={"token": "s1", "reason": "Delete"})
    status = pods.until(lambda status: "stopped" in status)
    assert head.wait(60) == 0
    assert (status["phase"], status["stopped"]) == ("Suspended", {"token": "s1"})
    assert not (pods.folder / "store").exists()


def test_usual_mistakes_are_told_before_anything_is_started(start_pods: Callable[[Mapping[str, Any]], Pods]) -> None:
    digest = "blake3:" + 64 * "0"
    task = {"entrypoint": "tasks:build", "code": {"archive": {"digest": digest}}}
    pods = start_pods(attempt(task=task))
    assert pods.start(0, "no-code").wait(60) == 2
    assert digest in pods.status["outcome"]["message"]
    pods.server.set(attempt())
    pods.variables["SOJOURN_STORE"] = "/proc/no-store"
    assert pods.start(0, "no-store").wait(60) == 1
    assert pods.status["outcome"]["reason"] == "StoreFailed"
    assert "/proc/no-store" in pods.status["outcome"]["message"]
    # A head that somebody else has replaced waits for its end.
    pods.server.set(merge(attempt(), {"status": {"phase": "Running", "head": {"uid": "other"}}}))
    replaced = pods.start(0, "replaced")
    pods.server.requests.clear()
    deadline = time.monotonic() + 60
    while not pods.server.requests:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    assert replaced.poll() is None
    # The other one had been told to end, and gives up in good order only now.
    pods.server.set(merge(pods.server.object, {"status": {"phase": "Suspended"}}))
    assert replaced.wait(60) == 1
    assert pods.status["head"]["uid"] == "uid-of-replaced"
    pods.server.set(merge(attempt(), {"status": {"phase": "Running", "head": {"uid": "other"}}}))
    replaced = pods.start(0, "replaced-again")
    pods.server.requests.clear()
    while not pods.server.requests:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    replaced.send_signal(signal.SIGTERM)
    assert replaced.wait(60) == EVICTED
