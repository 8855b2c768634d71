"""What Kubernetes does with a mover's Job: a pod, and an end as the test wants it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn_operator.context import Context
from sojourn_operator.resources import JOBS, PODS
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key, Object, owner_reference
from sojourn_operator.runtime.port import AlreadyExists
from sojourn_operator.runtime.watching import itself, owners

Answer = Mapping[str, Any] | str | None


@dataclass
class Pods:
    """How the mover pods fare.

    Args:
        answer: from a Job to what its pod leaves behind: an object (it ends well), a text (it fails, and so does the
            Job), or None (it runs on).
        waiting: reason and message why no container starts.
    """

    answer: Callable[[Object], Answer] = lambda job: None
    waiting: tuple[str, str] | None = None
    jobs: list[Object] = field(default_factory=list)


class JobRunner:
    """Makes and ends the pods of Jobs with the container `mover`."""

    name = "jobrunner"

    def __init__(self, context: Context, pods: Pods) -> None:
        self._context, self._pods = context, pods
        self.watches = (Watch(JOBS, itself), Watch(PODS, owners("Job")))

    def reconcile(self, key: Key) -> float | None:
        cluster = self._context.cluster
        job = cluster.cached(JOBS).get(*key)
        if job is None or "deletionTimestamp" in job["metadata"]:
            return None
        if any(entry["type"] in ("Complete", "Failed") for entry in job.get("status", {}).get("conditions", ())):
            return None
        name = f"{key.name}-pod"
        if cluster.cached(PODS).get(key.namespace, name) is None:
            self._pods.jobs.append(job)
            self._make(job, name)
        return self._end(job, name)

    def _make(self, job: Object, name: str) -> None:
        template = job["spec"]["template"]
        metadata = {**template["metadata"], "name": name, "namespace": job["metadata"]["namespace"]}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "ownerReferences": [owner_reference(job)]},
            "spec": template["spec"],
        }
        try:
            self._context.cluster.port.create(pod)
        except AlreadyExists:
            return

    def _end(self, job: Object, name: str) -> float | None:
        port, namespace = self._context.cluster.port, job["metadata"]["namespace"]
        answer = self._pods.answer(job)
        if self._pods.waiting:
            reason, message = self._pods.waiting
            port.patch_status(PODS, namespace, name, _status("Pending", waiting={"reason": reason, "message": message}))
            return 1.0
        if answer is None:
            running = {"startedAt": "2026-01-01T00:00:00Z"}
            port.patch_status(PODS, namespace, name, _status("Running", running=running))
            return 1.0
        failed = isinstance(answer, str)
        said = {"exitCode": int(failed), "message": answer if failed else json.dumps(answer)}
        port.patch_status(PODS, namespace, name, _status("Failed" if failed else "Succeeded", terminated=said))
        time = rfc3339(self._context.clock.now())
        done = {"type": "Failed" if failed else "Complete", "status": "True", "lastTransitionTime": time}
        port.patch_status(JOBS, namespace, job["metadata"]["name"], {"status": {"conditions": [done]}})
        return None


def _status(phase: str, **state: Any) -> dict[str, Any]:
    container = {"name": "mover", "state": state}
    return {"status": {"phase": phase, "hostIP": "198.18.0.11", "containerStatuses": [container]}}
