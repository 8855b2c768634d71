"""What surrounds the operator where TrainingJobs are tested in memory: Kubernetes' Job controller and the pods."""

from __future__ import annotations

from typing import Any

from helpers.operator import FakeClock, Harness
from sojourn_operator.context import Context
from sojourn_operator.resources import CHECKPOINT_STORES, JOBS, PODS, TRAINING_ATTEMPTS, TRAINING_JOBS
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key, Object, owner_reference
from sojourn_operator.runtime.watching import itself, owners
from sojourn_operator.trainingattempt.controller import TrainingAttemptController
from sojourn_operator.trainingjob.controller import TrainingJobController

NAMESPACE = "team"
INDEX = "batch.kubernetes.io/job-completion-index"
MANIFEST = "blake3:" + 64 * "5"


class JobController:
    """Makes pods of Indexed Jobs, replaces those that fail, ends Jobs by success policy and deadline."""

    name = "kubernetes-job"
    watches = (Watch(JOBS, itself), Watch(PODS, owners("Job")))

    def __init__(self, context: Context) -> None:
        self._cluster = context.cluster
        self._now = context.clock.now

    def reconcile(self, key: Key) -> None:
        job = self._cluster.cached(JOBS).get(*key)
        if job is None:
            return
        pods = self._cluster.cached(PODS).owned_by(job["metadata"]["uid"])
        running = [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
        ended = {entry["type"] for entry in job.get("status", {}).get("conditions", ())}
        spec, started = job["spec"], job.get("status", {}).get("startTime")
        if ended or spec.get("suspend"):
            self._remove(running)
            if started and not ended:
                self._set(key, startTime=None)
        elif any(pod["status"].get("phase") == "Succeeded" and _index(pod) == 0 for pod in pods if "status" in pod):
            self._set(key, conditions=[{"type": "Complete", "status": "True"}])
        elif spec.get("activeDeadlineSeconds"):
            self._set(key, conditions=[{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}])
        elif not started:
            self._set(key, startTime=rfc3339(self._now()))
        else:
            for index in {*range(spec["completions"])} - {_index(pod) for pod in running}:
                self._make(job, index, sum(_index(pod) == index for pod in pods))

    def _set(self, key: Key, **status: Any) -> None:
        self._cluster.port.patch_status(JOBS, *key, {"status": status})

    def _remove(self, pods: list[Object]) -> None:
        for pod in pods:
            self._cluster.port.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _make(self, job: Object, index: int, generation: int) -> None:
        template = job["spec"]["template"]
        name, namespace = f"{job['metadata']['name']}-{index}-{generation}", job["metadata"]["namespace"]
        metadata = {
            "name": name,
            "namespace": namespace,
            "labels": {**template["metadata"]["labels"], INDEX: str(index)},
            "ownerReferences": [owner_reference(job)],
        }
        self._cluster.port.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
        self._cluster.port.patch_status(PODS, namespace, name, {"status": {"phase": "Running"}})


def _index(pod: Object) -> int:
    return int(pod["metadata"]["labels"][INDEX])


class World:
    """A TrainingJob with everything around it; the test plays the pods.

    Args:
        job: its manifest without namespace.
        job_controller: whether Kubernetes' own Job controller works.
    """

    def __init__(self, job: dict[str, Any], *, job_controller: bool = True, store_ready: bool = True) -> None:
        self.harness = Harness(
            [self._job_controller, TrainingAttemptController],
            [JobController] if job_controller else [],
            clock=FakeClock(),
        )
        self.name = job["metadata"]["name"]
        self.harness.create(_store())
        if store_ready:
            self.probe("True", "Probed")
        self.harness.create({**job, "metadata": {**job["metadata"], "namespace": NAMESPACE}})

    def _job_controller(self, context: Context) -> TrainingJobController:
        self.registry = context.registry
        return TrainingJobController(context, lambda: "token")

    def probe(self, status: str, reason: str) -> None:
        """What the probe found out about the store."""
        self.harness.patch_status(
            CHECKPOINT_STORES, NAMESPACE, "runs", conditions=[_condition("Ready", status, reason)]
        )

    @property
    def job(self) -> Object:
        return self.harness.one(TRAINING_JOBS, NAMESPACE, self.name)

    @property
    def phase(self) -> str:
        return str(self.job["status"]["phase"])

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition of the job."""
        return next(
            ((entry["status"], entry["reason"]) for entry in self.job["status"]["conditions"] if entry["type"] == kind),
            ("", ""),
        )

    def message(self, kind: str) -> str:
        """The message of a condition of the job."""
        return next(str(entry["message"]) for entry in self.job["status"]["conditions"] if entry["type"] == kind)

    def attempt(self, number: int = 1) -> Object:
        return self.harness.one(TRAINING_ATTEMPTS, NAMESPACE, f"{self.name}-{number}")

    def head(self, number: int = 1) -> Object:
        """The head's pod: that of index 0 which has not ended."""
        pods = self.harness.world.list(PODS, NAMESPACE, f"sojourn.dev/attempt={self.name}-{number},{INDEX}=0").items
        (pod,) = [pod for pod in pods if pod["status"]["phase"] not in ("Succeeded", "Failed")]
        return pod

    def report(self, number: int = 1, **status: Any) -> None:
        """The head writes into the attempt's status."""
        self.harness.patch_status(TRAINING_ATTEMPTS, NAMESPACE, f"{self.name}-{number}", **status)
        self.harness.settle()

    def start(self, number: int = 1) -> None:
        """Let everything settle, and the pods begin to train."""
        self.harness.settle()
        head = self.head(number)["metadata"]
        run = {"runId": "run", "name": self.name, "prefix": f"{NAMESPACE}/{self.name}-run", "term": number}
        self.report(
            number,
            phase="Running",
            head={"pod": head["name"], "uid": head["uid"]},
            run=run,
            startTime=self.now,
            totalSteps=100,
            workers={"wanted": 2, "ready": 2},
        )

    def commit(self, step: int, number: int = 1) -> None:
        self.harness.clock.advance(1)
        commit = {"step": step, "epoch": 0, "manifest": MANIFEST, "time": self.now}
        self.report(number, step=step, lastCommit=commit, commits=[commit], failures=0)

    def answer_stop(self, step: int, number: int = 1) -> None:
        """The pods commit, say so, and end."""
        token = self.attempt(number)["spec"]["stop"]["token"]
        self.report(number, phase="Suspended", stopped={"token": token, "step": step})
        self.end_head(0, number)

    def complete(self, number: int = 1) -> None:
        self.report(number, phase="Succeeded", step=100, outcome={"exitCode": 0, "reason": "Complete"})
        self.end_head(0, number)

    def end_head(self, exit_code: int, number: int = 1, *, disrupted: bool = False, words: str = "") -> None:
        """The head's container ends."""
        try:
            head = self.head(number)
        except ValueError:
            return  # its Job was faster
        terminated = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "message": words}
        status: dict[str, Any] = {
            "phase": "Failed" if exit_code else "Succeeded",
            "containerStatuses": [{"name": "trainer", "state": {"terminated": terminated}}],
        }
        if disrupted:
            status["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
        self.harness.patch_status(PODS, NAMESPACE, head["metadata"]["name"], **status)
        self.harness.settle()

    def patch(self, **spec: Any) -> None:
        """A user changes the job."""
        self.harness.patch(TRAINING_JOBS, NAMESPACE, self.name, {"spec": spec})
        self.harness.settle()

    @property
    def now(self) -> str:
        return rfc3339(self.harness.clock.now())


def _store() -> dict[str, Any]:
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "CheckpointStore",
        "metadata": {"name": "runs", "namespace": NAMESPACE},
        "spec": {"pvc": {"claimName": "runs", "path": "sojourn"}},
    }


def _condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
