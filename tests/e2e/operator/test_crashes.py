"""The operator dies at each of its writes to a real API server, while real pods train into a real store."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread

import pytest

from e2e.attempts import CODE
from e2e.clusters.access import Cluster
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from e2e.jobs import RunningJob, wait
from e2e.journeys import API
from helpers.api_proxy import Fault, api_proxy
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.records import Attempt
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore
from sojourn_operator.main import Operator
from sojourn_operator.runtime.clock import SystemClock
from sojourn_operator.runtime.connection import Connection
from sojourn_operator.settings import Settings

pytestmark = pytest.mark.e2e

WRITES = ("POST", "PATCH", "DELETE")
POINTS = Path(__file__).parents[1] / "out" / "crash-points.txt"
MADE = "jobs,pods,services,secrets,serviceaccounts,roles,rolebindings,networkpolicies,trainingattempts"


class Mortal:
    """An operator that is cut off from the API server at every new write, first before it and then before its answer.

    It knows nothing of what came before when it comes back. In between it is let through.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self.points: list[str] = []
        self._connection, self._settings = connection, settings
        self._seen: Counter[str] = Counter()
        self._lock = Lock()
        self._dead, self._over = Event(), Event()

    def run(self) -> None:
        """Live and die until `end`."""
        while not self._over.is_set():
            self._dead.clear()
            with api_proxy(self._connection) as proxy:
                proxy.strike = self._strike
                stop = Event()
                operator = Operator(self._settings, proxy.connection, SystemClock())
                life = Thread(target=operator.run, args=(stop,), daemon=True)
                life.start()
                while not (self._dead.wait(0.1) or self._over.is_set()):
                    pass
                proxy.cut()
                stop.set()
                life.join(20)

    def end(self) -> None:
        self._over.set()

    def _strike(self, method: str, path: str, body: bytes | None) -> Fault:
        # Events only tell; a dry run writes nothing.
        if method not in WRITES or "/events" in path or "dryRun" in path:
            return ""
        place = re.sub(r"^/(api|apis)/|namespaces/[^/]+/|\?.*$", "", path)
        # Checkpoints come and go all the time; one of them stands for all.
        place = re.sub(r"(checkpoints/\w+)-\d+-\w+", r"\1", place)
        phase = json.loads(body or b"{}").get("status", {}).get("phase", "")
        write = " ".join(filter(None, (method, place, phase)))
        with self._lock:
            if self._dead.is_set():
                return ""
            self._seen[write] += 1
            fault: Fault = {1: "before", 2: "after"}.get(self._seen[write], "")  # type: ignore[assignment]
            if fault:
                self.points.append(f"{'before' if fault == 'before' else 'before the answer to'} {write}")
                self._dead.set()
            return fault


@contextmanager
def mortal(connection: Connection, namespace: str, images: Mapping[str, str]) -> Iterator[Mortal]:
    operator = Mortal(
        connection,
        Settings(
            namespace=namespace,
            operator_namespace=namespace,
            leader_elect=False,
            request_seconds=3.0,
            watch_seconds=5.0,
            backoff_seconds=0.1,
            backoff_cap_seconds=1.0,
            workers=2,
            metrics_address="",
            health_address="",
            trainer_image=images["trainer"],
            mover_image=images["mover"],
        ),
    )
    lives = Thread(target=operator.run, daemon=True)
    lives.start()
    try:
        yield operator
    finally:
        operator.end()
        lives.join(40)


def test_whatever_write_it_dies_at_the_job_comes_to_the_same_end(
    east: Cluster, connection: Connection, images: Mapping[str, str]
) -> None:
    install_definitions(east)
    with east.namespace("crash") as namespace:
        folder = store_folder(namespace)
        meta = {"namespace": namespace}
        store = {"apiVersion": API, "kind": "CheckpointStore", "metadata": {**meta, "name": "runs"}}
        code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": "code"}}
        training = {"globalBatchSize": 128, "steps": 100000, "seed": 7}
        spec = {
            "strategy": "MultiWorkerMirroredStrategy",
            "workers": {"replicas": 2, "resources": {"cpu": "900m", "memory": "2Gi"}},
            "task": {"entrypoint": "tasks:paced", "code": {"configMap": {"name": "code"}}},
            "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
            "training": training,
            "checkpoint": {"store": {"name": "runs"}, "every": {"seconds": 3}},
            "podTemplate": {"sharedMemory": "256Mi"},
            "backoffLimit": 0,
            "terminationGracePeriodSeconds": 40,
        }
        with mortal(connection, namespace, images) as operator:
            east.apply(
                *claim(namespace, "runs", folder),
                {**store, "spec": {"pvc": {"claimName": "runs"}}},
                {**code, "data": {"tasks.py": CODE}},
                {"apiVersion": API, "kind": "TrainingJob", "metadata": {**meta, "name": "digits"}, "spec": spec},
            )
            job = RunningJob(east, namespace, "digits")
            job.trains(1, beyond=0)
            job.patch(checkpoint={"request": "now"})
            job.until(lambda status: "step" in status.get("checkpointRequest", {}), "the checkpoint is made")
            job.patch(suspend=True)
            step = job.phase("Suspended")["lastCommit"]["step"]
            job.patch(suspend=False, training={**training, "steps": step + 40})
            assert job.phase("Complete")["attempts"] == 2

            log = find_run(PosixStore(folder), "digits", namespace)
            assert log.state.latest is not None
            assert log.state.latest.step == step + 40
            # No attempt ran twice, and none was made for nothing.
            assert [entry.body.term for entry in log.entries() if isinstance(entry.body, Attempt)] == [1, 2]
            assert verify_run(log).ok
            job.kubectl("delete", "trainingjob", "digits", "--timeout=120s")
            wait(lambda: job.names(MADE) == [], "nothing is left", 60)
    POINTS.parent.mkdir(exist_ok=True)
    POINTS.write_text("\n".join(operator.points) + "\n")
    print(f"struck at {len(operator.points)} points:", *operator.points, sep="\n")
    assert len(operator.points) > 30
