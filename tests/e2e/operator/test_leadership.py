"""Two operator processes, of which the one that leads is killed at a write: the other goes on, nothing starts twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import yaml

from e2e.clusters.access import Cluster
from e2e.definitions import install_definitions
from e2e.jobs import RunningJob, wait
from e2e.journeys import API
from e2e.operator_process import OperatorProcess
from e2e.rights import operator_kubeconfig
from e2e.test_migration import JOB
from helpers.api_proxy import ApiProxy, Fault, api_proxy
from sojourn_operator.runtime.connection import from_kubeconfig_file

pytestmark = pytest.mark.e2e

# Each ends one leader when the answer is on its way: what was made it never learns, and its heir has to see.
STRIKES: tuple[tuple[Fault, str, str], ...] = (("after", "POST", "trainingattempts"), ("after", "POST", "jobs"))
LEASE = "sojourn-operator"


@dataclass
class Candidates:
    """Operator processes that compete for one Lease, each by a way of its own to the API server."""

    cluster: Cluster
    namespace: str
    folder: Path
    alive: list[tuple[OperatorProcess, ApiProxy]] = field(default_factory=list)
    strikes: list[tuple[Fault, str, str]] = field(default_factory=lambda: list(STRIKES))
    stack: ExitStack = field(default_factory=ExitStack)
    _lock: Lock = field(default_factory=Lock)

    def start(self) -> None:
        """One more."""
        given = operator_kubeconfig(self.cluster, self.namespace, self.folder)
        proxy = self.stack.enter_context(api_proxy(from_kubeconfig_file(str(given))))
        proxy.strike = self._strike
        config: dict[str, Any] = yaml.safe_load(given.read_text())
        for entry in config["clusters"]:
            entry["cluster"] = {"server": proxy.connection.server}
        number = len(list(self.folder.glob("*.log")))
        path = self.folder / f"candidate-{number}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        settings = {"kubeconfig": str(path), "trainer-image": "registry.example/none:1"}
        process = OperatorProcess(self.cluster, self.namespace, self.folder / f"{number}.log", settings)
        process.start()
        self.alive.append((process, proxy))

    def kill_the_struck(self) -> bool:
        """SIGKILL for the leader that was cut off; False if none was."""
        for process, proxy in self.alive:
            if proxy.down:
                process.kill()
                self.alive.remove((process, proxy))
                return True
        return False

    def stop(self) -> None:
        for process, _ in self.alive:
            process.stop()
        self.stack.close()

    def _strike(self, method: str, path: str, body: bytes | None) -> Fault:
        with self._lock:
            if self.strikes and "dryRun" not in path:
                fault, verb, plural = self.strikes[0]
                if (method, path.partition("?")[0].rpartition("/")[2]) == (verb, plural):
                    del self.strikes[0]
                    return fault
        return ""


@pytest.fixture
def candidates(east: Cluster, tmp_path: Path) -> Iterator[Candidates]:
    install_definitions(east)
    with east.namespace("leaders") as namespace:
        found = Candidates(east, namespace, tmp_path)
        yield found
        found.stop()


def test_a_leader_that_dies_between_two_writes_is_followed_by_the_other(east: Cluster, candidates: Candidates) -> None:
    candidates.start()
    candidates.start()
    # No node has that label: what matters here is what is made, not that it runs.
    spec = {
        **JOB,
        "checkpoint": {"store": {"uri": "pvc://runs/sojourn"}},
        "podTemplate": {"nodeSelector": {"test": "none"}},
    }
    metadata = {"name": "digits", "namespace": candidates.namespace}
    east.apply({"apiVersion": API, "kind": "TrainingJob", "metadata": metadata, "spec": spec})
    job = RunningJob(east, candidates.namespace, "digits")
    for number, strike in enumerate(STRIKES, 1):
        wait(candidates.kill_the_struck, f"strike {number}")
        candidates.start()
        if strike == ("after", "POST", "trainingattempts"):
            attempt = job.cluster.get("trainingattempt", "digits-1", job.namespace)["metadata"]["uid"]
    made = job.cluster.get("job", "digits-1", job.namespace)["metadata"]["uid"]
    job.until(lambda _: job.condition("Running").get("reason") == "Unschedulable", "its pod waits for a node", 60)

    # Every write that was lost was made once, whoever made it.
    get = partial(job.cluster.get, namespace=job.namespace)
    assert get("lease", LEASE)["spec"]["leaseTransitions"] == len(STRIKES)
    assert job.names("trainingattempts") == ["trainingattempt.sojourn.dev/digits-1"]
    assert job.names("jobs") == ["job.batch/digits-1"]
    assert get("trainingattempt", "digits-1")["metadata"]["uid"] == attempt
    assert get("job", "digits-1")["metadata"]["uid"] == made
    assert len(job.pods(1)) == 1
    assert (job.status()["attempts"], job.status()["failures"]) == (1, 0)
    job.kubectl("delete", "trainingjob", "digits", "--timeout=60s")
    wait(lambda: job.names("trainingattempts,jobs,pods") == [], "nothing is left")
