"""The pods' side of TrainingJobs, simulated: pods that run and end, heads that report as the trainer's head does."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sojourn_operator.engines.job import INDEX_LABEL
from sojourn_operator.engines.names import ATTEMPT_LABEL, CONTAINER, JOB_LABEL, MANAGED
from sojourn_operator.movers.names import CONTAINER as MOVER
from sojourn_operator.resources import CHECKPOINTS, JOBS, PODS, TRAINING_ATTEMPTS, TRAINING_JOBS
from sojourn_operator.runtime.api import ApiServer
from sojourn_operator.runtime.clock import SystemClock, rfc3339
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import ClusterError

NAMESPACE = "bench"
REPORT_SECONDS = 10.0
_PROBED = {"ready": True, "reason": "Probed", "message": "", "storeId": "bench"}


class Latencies:
    """Seconds from a write to what it leads to. The clock starts before the write is sent."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._lock = threading.Condition()
        self._begun: dict[tuple[str, str], float] = {}

    def begin(self, what: str, name: str) -> None:
        """The write goes out now."""
        with self._lock:
            self._begun[what, name] = time.monotonic()

    def end(self, what: str, name: str) -> bool:
        """Its consequence was seen; whether that was the first time, which alone counts."""
        now = time.monotonic()
        with self._lock:
            begun = self._begun.pop((what, name), None)
            if begun is None:
                return False
            self.seconds[what].append(now - begun)
            self._lock.notify_all()
        return True

    def wait(self, what: str, count: int, seconds: float) -> None:
        """Until so many consequences were seen.

        Raises:
            TimeoutError: not in time.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: len(self.seconds[what]) >= count, seconds):
                seen = {name: len(found) for name, found in self.seconds.items()}
                raise TimeoutError(f"{what}: not {count} times within {seconds:g} s; seen: {seen}")


class PodsSide:
    """Watches what the operator makes, and does what nodes and trainers would do.

    Args:
        hurry: whether a job goes on through its life as soon as one stage is seen; else the caller says when.
    """

    def __init__(self, server: ApiServer, latencies: Latencies, *, hurry: bool) -> None:
        self.latencies = latencies
        self._server = server
        self._then: Mapping[str, Callable[[str], None]] = {}
        if hurry:
            self._then = {"running": self.commit, "commit": self.complete, "success": self.end_of_life}
        self._pool = ThreadPoolExecutor(16)
        self._stop = threading.Event()
        self._heads: dict[str, Object] = {}
        self._running: dict[str, float] = {}
        self._watching = threading.Semaphore(0)
        self.reporting = False
        self.errors: list[str] = []

    def start(self) -> None:
        """Watch; what is made from now on is seen."""
        for resource, labels, handle in (
            (PODS, MANAGED, self._pod),
            (JOBS, MANAGED, self._job),
            (TRAINING_JOBS, "", self._training_job),
            (CHECKPOINTS, "", self._checkpoint),
        ):
            threading.Thread(target=self._follow, args=(resource, labels, handle), daemon=True).start()
            self._watching.acquire()
        threading.Thread(target=self._report, daemon=True).start()

    def stop(self) -> None:
        """End all threads."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def commit(self, job: str, step: int = 100) -> None:
        """The head has committed a checkpoint."""
        self.latencies.begin("commit", job)
        commit = _commit(step)
        self._attempt(job, step=step, lastCommit=commit, commits=[commit], failures=0)

    def complete(self, job: str) -> None:
        """The head reports that training is complete, and its pod ends."""
        self._running.pop(job, None)
        self.latencies.begin("success", job)
        outcome = {"exitCode": 0, "reason": "Complete", "message": "training is complete"}
        self._attempt(job, phase="Succeeded", step=1000, outcome=outcome)
        self._end(self._heads.pop(job), CONTAINER, "")

    def end_of_life(self, job: str) -> None:
        """The time of a finished job is over."""
        self.latencies.begin("ttl", job)
        self._server.patch(TRAINING_JOBS, NAMESPACE, job, {"spec": {"ttlSecondsAfterFinished": 0}})

    def _pod(self, kind: str, pod: Object) -> None:
        if kind != "ADDED":
            return
        labels = pod["metadata"]["labels"]
        if ATTEMPT_LABEL in labels:
            self._do(self._run, pod, labels[JOB_LABEL], labels[INDEX_LABEL] == "0")
        else:
            self._do(self._end, pod, MOVER, json.dumps(_PROBED))

    def _run(self, pod: Object, job: str, is_head: bool) -> None:
        name = pod["metadata"]["name"]
        state = {"name": CONTAINER, "ready": True, "restartCount": 0, "image": "x", "imageID": "x"}
        status = {"phase": "Running", "containerStatuses": [{**state, "state": {"running": {"startedAt": _now()}}}]}
        self._server.patch_status(PODS, NAMESPACE, name, {"status": status})
        if not is_head:
            return
        self._heads[job] = pod
        head = {"pod": name, "uid": pod["metadata"]["uid"]}
        self._attempt(job, phase="Starting", head=head, startTime=_now())
        run_id = str(uuid.uuid4())
        run = {"runId": run_id, "name": job, "prefix": f"{NAMESPACE}/{job}-{run_id}", "term": 1}
        self.latencies.begin("running", job)
        workers = {"wanted": 2, "ready": 2}
        self._attempt(job, phase="Running", run=run, totalSteps=1000, step=0, workers=workers)
        self._running[job] = time.monotonic()

    def _end(self, pod: Object, container: str, words: str) -> None:
        terminated = {"exitCode": 0, "reason": "Completed", "message": words, "finishedAt": _now(), "startedAt": _now()}
        ended = {"name": container, "ready": False, "restartCount": 0, "image": "x", "imageID": "x"}
        status = {"phase": "Succeeded", "containerStatuses": [{**ended, "state": {"terminated": terminated}}]}
        self._server.patch_status(PODS, NAMESPACE, pod["metadata"]["name"], {"status": status})

    def _job(self, kind: str, job: Object) -> None:
        if kind == "ADDED" and JOB_LABEL in job["metadata"]["labels"]:
            self._saw("pods", job["metadata"]["labels"][JOB_LABEL])

    def _training_job(self, kind: str, job: Object) -> None:
        name, status = job["metadata"]["name"], job.get("status", {})
        if kind == "DELETED":
            self._saw("ttl", name)
        if "attempt" in status:
            self._saw("created", name)
        if status.get("phase") == "Running":
            self._saw("running", name)
        if status.get("phase") == "Complete":
            self._saw("success", name)

    def _checkpoint(self, kind: str, checkpoint: Object) -> None:
        if kind == "ADDED":
            self._saw("commit", checkpoint["spec"]["jobName"])

    def _saw(self, what: str, job: str) -> None:
        if self.latencies.end(what, job) and what in self._then:
            self._do(self._then[what], job)

    def _report(self) -> None:
        """Every head reports its progress as often as the trainer's does, while that is asked for."""
        while not self._stop.wait(0.2):
            if not self.reporting:
                continue
            now = time.monotonic()
            for job, last in list(self._running.items()):
                if now - last >= REPORT_SECONDS and job in self._running:
                    self._running[job] = now
                    self._do(self._progress, job, int(now) % 1000)

    def _progress(self, job: str, step: int) -> None:
        if job in self._running:
            self._attempt(job, step=step, samplesPerSecond=100.0, etaSeconds=100.0)

    def _attempt(self, job: str, **status: Any) -> None:
        self._server.patch_status(TRAINING_ATTEMPTS, NAMESPACE, f"{job}-1", {"status": status})

    def _do(self, action: Callable[..., None], *arguments: Any) -> None:
        def attempt() -> None:
            try:
                action(*arguments)
            except Exception as error:  # noqa: BLE001 - the pool would keep it to itself
                self.errors.append(repr(error))

        self._pool.submit(attempt)

    def _follow(self, resource: Resource, labels: str, handle: Callable[[str, Object], None]) -> None:
        version = ""
        while not self._stop.is_set():
            try:
                if not version:
                    version = self._server.list(resource, NAMESPACE, labels).resource_version
                    self._watching.release()
                for change in self._server.watch(resource, version, NAMESPACE, labels):
                    version = change.object["metadata"]["resourceVersion"]
                    if change.type != "BOOKMARK":
                        handle(change.type, change.object)
            except ClusterError as error:
                if not self._stop.is_set():
                    self.errors.append(f"watch: {error}")
                time.sleep(0.2)


def _commit(step: int) -> dict[str, Any]:
    digest = uuid.uuid4().hex * 2
    place = {"manifest": f"blake3:{digest}", "checkpoint": f"data/{step}-0-{digest[:4]}"}
    return {"step": step, "epoch": 0, "time": _now(), "bytes": 1 << 20, **place}


def _now() -> str:
    return rfc3339(SystemClock().now())
