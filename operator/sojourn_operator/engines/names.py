"""Names and labels of what an attempt consists of. All follow from the job's name and the attempt's number."""

from __future__ import annotations

from typing import Any, Final

from sojourn_operator.runtime.objects import Object, owner_reference

JOB_LABEL: Final = "sojourn.dev/job"
ATTEMPT_LABEL: Final = "sojourn.dev/attempt"
# On a TrainingJob: the run that a migration brought, which its attempts open.
RUN_ID: Final = "sojourn.dev/run-id"
MANAGED: Final = "app.kubernetes.io/managed-by=sojourn-operator"
QUEUE_PREFIX: Final = "kueue.x-k8s.io/"
CONTAINER: Final = "trainer"

GCS_PORT: Final = 6379
DASHBOARD_PORT: Final = 8265
METRICS_PORT: Final = 8080


def attempt_name(job: str, number: int) -> str:
    """Name of an attempt, and of the workload that its engine makes."""
    return f"{job}-{number}"


def account_name(job: str) -> str:
    """Name of the job's ServiceAccount, Role, RoleBinding and NetworkPolicy."""
    return f"{job}-trainer"


def token_secret_name(job: str) -> str:
    """Name of the Secret with the job's Ray token."""
    return f"{job}-ray-token"


def dashboard_name(job: str) -> str:
    """Name of the Service in front of the Ray dashboard."""
    return f"{job}-dashboard"


def common_labels(job: str) -> dict[str, str]:
    """Labels of everything that is made for a job."""
    return {
        "app.kubernetes.io/name": "sojourn-trainer",
        "app.kubernetes.io/instance": job,
        "app.kubernetes.io/managed-by": "sojourn-operator",
        JOB_LABEL: job,
    }


def attempt_labels(attempt: Object) -> dict[str, str]:
    """Labels of everything that is made for one attempt."""
    return {**common_labels(attempt["spec"]["jobName"]), ATTEMPT_LABEL: attempt["metadata"]["name"]}


def queue_labels(obj: Object) -> dict[str, Any]:
    """The labels of an object that Kueue reads."""
    labels = obj["metadata"].get("labels", {})
    return {name: value for name, value in labels.items() if name.startswith(QUEUE_PREFIX)}


def metadata(attempt: Object, labels: dict[str, Any]) -> dict[str, Any]:
    """metadata of an object that is named as its attempt and goes with it."""
    return {
        "name": attempt["metadata"]["name"],
        "namespace": attempt["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [owner_reference(attempt)],
    }
