"""A TrainingJob on a test cluster, as its user sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from e2e.rights import NAME as OPERATOR

INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass
class RunningJob:
    """One job. Everything is asked of the API server, and waited for by asking again."""

    cluster: Cluster
    namespace: str
    name: str

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments)

    def get(self) -> dict[str, Any]:
        return self.cluster.get("trainingjob", self.name, self.namespace)

    def status(self) -> dict[str, Any]:
        """{} before there is one, or before there is a job: others make it in their own time."""
        found = self.kubectl("get", "trainingjob", self.name, "--ignore-not-found", "-o", "json")
        status: dict[str, Any] = json.loads(found).get("status", {}) if found.strip() else {}
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        """The condition of this type, {} if there is none."""
        return next((entry for entry in self.status().get("conditions", ()) if entry["type"] == kind), {})

    def until(self, wanted: Callable[[dict[str, Any]], bool], what: str, seconds: float = 360) -> dict[str, Any]:
        """The status once it is as wanted."""
        deadline = time.monotonic() + seconds
        while not wanted(status := self.status()):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{what}: not within {seconds:g} s\n{json.dumps(status, indent=1)}\n{self.story()}"
                )
            time.sleep(0.5)
        return status

    def phase(self, phase: str, seconds: float = 240) -> dict[str, Any]:
        """The status once the phase is this one."""
        return self.until(lambda status: status.get("phase") == phase, f"phase {phase}", seconds)

    def trains(self, attempt: int | None = None, beyond: int = -1) -> dict[str, Any]:
        """The status once this attempt (None: any) trains and has committed a step beyond the given one."""
        return self.until(
            lambda status: (
                status.get("phase") == "Running"
                and attempt in (None, int(status.get("attempt", "-0").rpartition("-")[2]))
                and status.get("workers", {}).get("ready") == status["workers"]["wanted"]
                and status.get("lastCommit", {}).get("step", -1) > beyond
            ),
            f"attempt {attempt or ''} trains beyond step {beyond}",
        )

    def patch(self, **spec: Any) -> None:
        """Change spec."""
        self.kubectl("patch", "trainingjob", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def pods(self, attempt: int, *, running: bool = True) -> list[dict[str, Any]]:
        """Pods of an attempt, by index."""
        selector = f"sojourn.dev/attempt={self.name}-{attempt}"
        found = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        ended = ("Succeeded", "Failed")
        kept = [pod for pod in found if not running or pod["status"]["phase"] not in ended]
        return sorted(kept, key=lambda pod: str(pod["metadata"]["labels"].get(INDEX, "")))

    def pod(self, attempt: int, index: int) -> str:
        """Name of the running pod with this index."""
        (found,) = [pod for pod in self.pods(attempt) if pod["metadata"]["labels"][INDEX] == str(index)]
        return str(found["metadata"]["name"])

    def kill(self, pod: str) -> None:
        """Take a pod away without a word."""
        self.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")

    def names(self, kinds: str) -> list[str]:
        """kind/name of what there is of these kinds, but for what every namespace has, and the operator's account."""
        found = self.kubectl("get", kinds, "-o", "name").split()
        common = ("serviceaccount/default", "configmap/kube-root-ca.crt")
        return sorted(name for name in found if name not in common and not name.endswith(f"/{OPERATOR}"))

    def events(self) -> list[str]:
        """Reasons of the Events about the job."""
        selector = f"involvedObject.kind=TrainingJob,involvedObject.name={self.name}"
        found = json.loads(self.kubectl("get", "events", "--field-selector", selector, "-o", "json"))
        return [str(event["reason"]) for event in found["items"]]

    def story(self) -> str:
        """What a person would look at."""
        parts = []
        for arguments in (
            ("get", "trainingjobs,trainingattempts,jobs,pods", "-o", "wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("logs", "-l", f"sojourn.dev/job={self.name}", "--tail=30", "--prefix"),
        ):
            try:
                parts.append(self.kubectl(*arguments))
            except ClusterError as error:
                parts.append(str(error))
        return "\n".join(parts)


def wait(wanted: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)
