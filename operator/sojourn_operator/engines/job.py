"""The built-in engine: one Indexed Job per attempt, whose index 0 is the head.

A lost worker is replaced by the Job; the Job itself never gives up, as the attempt decides that. Index 0 ends the Job:
the others then only wait for somebody to train with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sojourn_operator.engines.base import Workload
from sojourn_operator.engines.names import GCS_PORT, attempt_labels, metadata, queue_labels
from sojourn_operator.engines.pods import job_spec, pod_template
from sojourn_operator.engines.podview import PodView
from sojourn_operator.resources import JOBS
from sojourn_operator.runtime.actions import Patch
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.objects import Object

INDEX_LABEL: Final = "batch.kubernetes.io/job-completion-index"
_NO_LIMIT: Final = 2147483647


class JobEngine:
    """Makes batch/v1 Jobs; needs Kubernetes 1.33 (successPolicy)."""

    resource = JOBS
    optional = False
    needs = "Kubernetes 1.33 or later"
    replaces_ended_heads = False

    @property
    def head_labels(self) -> dict[str, str]:
        return {INDEX_LABEL: "0"}

    def workload(self, attempt: Object) -> Object:
        name = attempt["metadata"]["name"]
        replicas = job_spec(attempt).workers.replicas
        template = pod_template(attempt, "auto", f"{name}-0.{name}:{GCS_PORT}")
        template["spec"]["subdomain"] = name
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata(attempt, {**queue_labels(attempt), **attempt_labels(attempt)}),
            "spec": {
                "completionMode": "Indexed",
                "completions": replicas,
                "parallelism": replicas,
                "successPolicy": {"rules": [{"succeededIndexes": "0"}]},
                "backoffLimit": _NO_LIMIT,
                "podReplacementPolicy": "Failed",
                "template": template,
            },
        }

    def services(self, attempt: Object) -> Sequence[Object]:
        labels = attempt_labels(attempt)
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(attempt, labels),
            "spec": {
                "clusterIP": "None",
                # Workers look for the head before it is ready, and the head for workers that never become so.
                "publishNotReadyAddresses": True,
                "selector": labels,
                "ports": [{"name": "gcs", "port": GCS_PORT, "targetPort": GCS_PORT, "protocol": "TCP"}],
            },
        }
        return (service,)

    def observe(self, workload: Object) -> Workload:
        status = workload.get("status", {})
        ended = {entry["type"]: entry for entry in status.get("conditions", ()) if entry["status"] == "True"}
        success = ended.get("Complete") or ended.get("SuccessCriteriaMet")
        failure = ended.get("Failed") or ended.get("FailureTarget")
        return Workload(
            object=workload,
            suspended=workload["spec"].get("suspend", False),
            started=parse_rfc3339(status["startTime"]) if status.get("startTime") else None,
            end="Complete" if success else "Failed" if failure else None,
            message=(failure or {}).get("message", ""),
        )

    def heads(self, pods: Sequence[PodView]) -> Sequence[PodView]:
        return [pod for pod in pods if pod.labels.get(INDEX_LABEL) == "0"]

    def end(self, workload: Object) -> Patch | None:
        """A deadline that has passed: the Job fails, its running pods go, those that ended stay for their logs."""
        if workload["spec"].get("suspend", False):
            return None  # a suspended Job has no clock
        namespace, name = workload["metadata"]["namespace"], workload["metadata"]["name"]
        return Patch(JOBS, namespace, name, {"spec": {"activeDeadlineSeconds": 1}})
