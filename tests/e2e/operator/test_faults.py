"""What goes wrong between an operator and a real API server, and that it comes right again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from e2e.attempts import CODE
from e2e.clusters.access import Cluster
from e2e.clusters.faults import frozen_api_server
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from e2e.jobs import RunningJob, wait
from e2e.journeys import API
from e2e.operator_process import OperatorProcess
from e2e.test_migration import JOB
from e2e.transfers import give_to_pods
from helpers.api_proxy import ApiProxy, api_proxy
from helpers.rows import Rows, table
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Attempt
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore
from sojourn_operator.main import Kind, Operator
from sojourn_operator.resources import CONFIG_MAPS, LEASES, SECRETS
from sojourn_operator.runtime.api import ApiServer
from sojourn_operator.runtime.clock import SystemClock
from sojourn_operator.runtime.connection import Connection
from sojourn_operator.runtime.port import Throttled
from sojourn_operator.settings import Settings

pytestmark = pytest.mark.e2e


class Replica:
    """An operator in a thread of this process."""

    def __init__(self, connection: Connection, namespace: str, **settings: Any) -> None:
        defaults = {
            "namespace": namespace,
            "operator_namespace": namespace,
            "watch_seconds": 1.0,
            "request_seconds": 2.0,
            "backoff_seconds": 0.1,
            "backoff_cap_seconds": 1.0,
            "lease_seconds": 3.0,
            "renew_deadline_seconds": 2.0,
            "retry_seconds": 0.3,
            "metrics_address": "",
            "health_address": "",
        }
        operator = Operator(Settings(**{**defaults, **settings}), connection, SystemClock(), [Kind(Rows)])
        self.code: int | None = None
        self._stop = Event()
        self._thread = Thread(target=lambda: setattr(self, "code", operator.run(self._stop)), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def ended(self) -> bool:
        return not self._thread.is_alive()


@contextmanager
def replica(connection: Connection, namespace: str, **settings: Any) -> Iterator[Replica]:
    one = Replica(connection, namespace, **settings)
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def proxy(connection: Connection) -> Iterator[ApiProxy]:
    with api_proxy(connection) as proxy:
        yield proxy


@pytest.fixture
def rows(port: ApiServer, namespace: str) -> Callable[[], int]:
    return lambda: len(port.list(SECRETS, namespace, "table").items) - 1


def eventually(reached: Callable[[], bool], seconds: float = 15.0) -> float:
    """The seconds it took."""
    started = time.monotonic()
    while not reached():
        assert time.monotonic() - started < seconds
        time.sleep(0.1)
    return time.monotonic() - started


def test_an_expired_watch_is_listed_again(
    port: ApiServer, proxy: ApiProxy, namespace: str, rows: Callable[[], int]
) -> None:
    port.create(table(1, namespace))
    with replica(proxy.connection, namespace, leader_elect=False):
        eventually(lambda: rows() == 1)
        proxy.answer(410, lambda method, path: "watch=1" in path and "/configmaps" in path)
        eventually(lambda: bool(proxy.answered))
        port.patch(CONFIG_MAPS, namespace, "table", {"data": {"rows": "3"}})
        eventually(lambda: rows() == 3)


def test_a_throttling_server_is_left_alone_for_as_long_as_it_says(
    port: ApiServer, proxy: ApiProxy, namespace: str, rows: Callable[[], int]
) -> None:
    proxy.answer(429, lambda method, path: method == "POST" and "/secrets" in path, Retry_After="2")
    port.create(table(1, namespace))
    with replica(proxy.connection, namespace, leader_elect=False):
        eventually(lambda: bool(proxy.answered))
        assert eventually(lambda: rows() == 1) > 1.5


def test_the_throttled_caller_learns_when_to_come_back(connect: Any, proxy: ApiProxy, namespace: str) -> None:
    proxy.answer(429, lambda method, path: "/configmaps/" in path, Retry_After="1")
    through = connect(connection=proxy.connection)
    started = time.monotonic()
    with pytest.raises(Throttled) as raised:
        through.get(CONFIG_MAPS, namespace, "one")
    assert raised.value.retry_after == 1
    assert through.get(CONFIG_MAPS, namespace, "one") is None
    assert time.monotonic() - started >= 1


def test_a_conflict_is_tried_again_with_what_is_there_now(
    port: ApiServer, proxy: ApiProxy, namespace: str, rows: Callable[[], int]
) -> None:
    proxy.answer(409, lambda method, path: method == "PATCH" and "/configmaps/table" in path)
    port.create(table(2, namespace))
    with replica(proxy.connection, namespace, leader_elect=False):
        eventually(lambda: rows() == 2)
    assert [answer for answer in proxy.answered if answer.startswith("409")]


def test_connections_that_are_dead_without_a_word_are_given_up(
    port: ApiServer, proxy: ApiProxy, namespace: str, rows: Callable[[], int]
) -> None:
    port.create(table(1, namespace))
    with replica(proxy.connection, namespace, leader_elect=False, watch_seconds=2.0):
        eventually(lambda: rows() == 1)
        proxy.freeze_connections()
        port.patch(CONFIG_MAPS, namespace, "table", {"data": {"rows": "2"}})
        eventually(lambda: rows() == 2)


def test_what_was_deleted_while_it_was_down_is_cleaned_up(
    port: ApiServer, connection: Connection, namespace: str, rows: Callable[[], int]
) -> None:
    port.create(table(1, namespace))
    with replica(connection, namespace, leader_elect=False):
        eventually(lambda: rows() == 1)
    port.delete(CONFIG_MAPS, namespace, "table")
    assert port.get(CONFIG_MAPS, namespace, "table") is not None
    with replica(connection, namespace, leader_elect=False):
        eventually(lambda: port.get(CONFIG_MAPS, namespace, "table") is None)
        eventually(lambda: port.get(SECRETS, namespace, "table-note") is None)


def test_of_two_replicas_the_other_goes_on_when_the_leader_is_cut_off(
    port: ApiServer, proxy: ApiProxy, connection: Connection, namespace: str, rows: Callable[[], int]
) -> None:
    def leader() -> str:
        lease = port.get(LEASES, namespace, "sojourn-operator")
        return str(lease["spec"].get("holderIdentity", "")) if lease is not None else ""

    port.create(table(1, namespace))
    with replica(proxy.connection, namespace) as first:
        eventually(lambda: rows() == 1)
        before = leader()
        with replica(connection, namespace) as second:
            proxy.cut()
            port.patch(CONFIG_MAPS, namespace, "table", {"data": {"rows": "2"}})
            eventually(lambda: rows() == 2)
            assert leader() not in ("", before)
            eventually(first.ended)
            assert first.code == 1
        assert second.code == 0
        assert leader() == ""


@pytest.fixture(scope="module")
def training(
    east: Cluster, images: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningJob, RunLog]]:
    """A job that trains under an operator process of its own, and its log; the last tests share it, in this order."""
    install_definitions(east)
    with east.namespace("outage") as namespace:
        folder = store_folder(namespace)
        meta = {"namespace": namespace}
        code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": "code"}}
        job = {"apiVersion": API, "kind": "TrainingJob", "metadata": {**meta, "name": "digits"}}
        checkpoint = {"store": {"uri": "pvc://runs/sojourn"}, "every": {"seconds": 3}}
        log = tmp_path_factory.mktemp("operator") / "log"
        operator = OperatorProcess(east, namespace, log, {"trainer-image": images["trainer"], "leader-elect": "false"})
        operator.start()
        east.apply(
            *claim(namespace, "runs", folder),
            {**code, "data": {"tasks.py": CODE}},
            {**job, "spec": {**JOB, "checkpoint": checkpoint}},
        )
        running = RunningJob(east, namespace, "digits")
        running.trains(1, beyond=0)
        yield running, find_run(PosixStore(folder / "sojourn"), "digits", namespace)
        running.kubectl("delete", "trainingjob", "digits", "--timeout=120s")
        operator.stop()


def test_half_a_minute_without_an_api_server_costs_a_job_nothing(
    east: Cluster,
    training: tuple[RunningJob, RunLog],
    port: ApiServer,
    proxy: ApiProxy,
    namespace: str,
    rows: Callable[[], int],
) -> None:
    """Its pods train and commit on, and nobody takes them for lost; what the operator missed it sees afterwards."""
    if east.site is None:
        pytest.skip("clusters that were brought along are not this project's to break")
    job, log = training
    (pod,) = job.pods(1)
    port.create(table(1, namespace))
    with replica(proxy.connection, namespace, leader_elect=False) as one:
        eventually(lambda: rows() == 1)
        proxy.cut()
        with frozen_api_server(east.site):
            before = committed(log)
            time.sleep(30)
            meanwhile = committed(log)
        assert meanwhile > before
        port.patch(CONFIG_MAPS, namespace, "table", {"data": {"rows": "2"}})
        port.delete(SECRETS, namespace, "table-0")
        assert rows() == 0
        assert not one.ended()
        proxy.down = False
        eventually(lambda: rows() == 2)
    status = job.until(lambda status: status["lastCommit"]["step"] > meanwhile, "the status catches up", 30)
    assert (status["phase"], status["attempts"], status["failures"]) == ("Running", 1, 0)
    assert status["workers"]["ready"] == 1
    assert [found["metadata"]["uid"] for found in job.pods(1)] == [pod["metadata"]["uid"]]
    log.refresh()
    assert [entry.body.term for entry in log.entries() if isinstance(entry.body, Attempt)] == [1]
    assert verify_run(log).ok


def committed(log: RunLog) -> int:
    """The newest step that the run's log has."""
    newest = log.refresh().latest
    assert newest is not None
    return newest.step


def test_a_second_job_that_names_the_run_of_the_first_does_not_start(
    east: Cluster, training: tuple[RunningJob, RunLog]
) -> None:
    job, log = training
    first = job.get()
    named = {"sojourn.dev/run-id": first["status"]["runId"]}
    metadata = {"name": "twin", "namespace": job.namespace, "annotations": named}
    east.apply({"apiVersion": API, "kind": "TrainingJob", "metadata": metadata, "spec": first["spec"]})
    twin = RunningJob(east, job.namespace, "twin")
    status = twin.until(lambda status: "phase" in status, "it is looked at", 30)
    feasible = twin.condition("Feasible")
    assert (status["phase"], feasible["status"], feasible["reason"]) == ("Pending", "False", "RunInUse")
    assert f"TrainingJob digits in namespace {job.namespace}" in feasible["message"]
    wait(lambda: "RunInUse" in twin.events(), "it is told")
    before = committed(log)
    wait(lambda: committed(log) > before, "the first trains on")
    assert job.names("trainingattempts,jobs") == ["job.batch/digits-1", "trainingattempt.sojourn.dev/digits-1"]
    twin.kubectl("delete", "trainingjob", "twin", "--timeout=30s")


def test_a_job_whose_run_is_started_a_second_time_does_not_take_it_back(training: tuple[RunningJob, RunLog]) -> None:
    """By somebody who knows nothing of the first, such as a job of that name on another cluster with this store."""
    job, log = training
    term = log.begin_attempt("somebody else")
    give_to_pods(Path(log.store.uri.removeprefix("file://")))
    job.phase("OwnedElsewhere", 60)
    owned = job.condition("OwnedElsewhere")
    assert owned["reason"] == "StartedElsewhere"
    assert "sojourn resume" in owned["message"]
    assert "somebody else" in owned["message"]
    assert log.refresh().term == term
    assert all(commit.term < term for commit in log.state.commits)
    assert job.status()["attempts"] == 1
