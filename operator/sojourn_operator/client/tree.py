"""A job and everything that belongs to it, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sojourn_operator.client.namespace import Namespace
from sojourn_operator.resources import (
    CHECKPOINTS,
    MIGRATIONS,
    MODEL_SERVERS,
    PODS,
    TRAINING_ATTEMPTS,
)
from sojourn_operator.runtime.objects import Object

JOB_LABEL = "sojourn.dev/job"
ATTEMPT_LABEL = "sojourn.dev/attempt"


@dataclass(frozen=True, slots=True)
class JobTree:
    """The objects, oldest first; checkpoints by step."""

    training_job: Object
    attempts: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    checkpoints: Sequence[Object] = ()
    migrations: Sequence[Object] = ()
    model_servers: Sequence[Object] = ()

    def pods_of(self, attempt: Object) -> list[Object]:
        """Pods of an attempt, by index."""
        name = attempt["metadata"]["name"]
        return [pod for pod in self.pods if pod["metadata"].get("labels", {}).get(ATTEMPT_LABEL) == name]


def collect(client: Namespace, job: Object) -> JobTree:
    """Ask for everything that belongs to a job of the client's namespace."""
    name, namespace = job["metadata"]["name"], client.namespace
    run = job.get("status", {}).get("runId", "")

    def mine(migration: Object) -> bool:
        source, target = migration["spec"]["source"], migration["spec"].get("target", {})
        return source.get("trainingJob") == name or (not target.get("cluster") and target.get("name") == name)

    return JobTree(
        job,
        [it for it in client.all(TRAINING_ATTEMPTS, namespace) if it["spec"]["jobName"] == name],
        client.all(PODS, namespace, f"{JOB_LABEL}={name}"),
        sorted(
            (
                it
                for it in client.all(CHECKPOINTS, namespace)
                if it["spec"].get("jobName") == name or it["spec"]["run"]["runId"] == run
            ),
            key=lambda it: int(it["spec"]["step"]),
        ),
        [it for it in client.all(MIGRATIONS, namespace) if mine(it)],
        [it for it in client.all(MODEL_SERVERS, namespace) if it["spec"]["model"]["run"] == name],
    )
