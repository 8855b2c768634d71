"""The engine for clusters that run KubeRay's operator: one RayJob per attempt.

KubeRay makes the pods, replaces them and is what Kueue knows. The work is done by our supervisor, which is the pods'
own command; the job that KubeRay submits to Ray only keeps the cluster in use until the attempt deletes the RayJob.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sojourn_operator.engines.base import Workload
from sojourn_operator.engines.names import GCS_PORT, METRICS_PORT, attempt_labels, metadata, queue_labels
from sojourn_operator.engines.pods import job_spec, pod_template
from sojourn_operator.engines.podview import PodView
from sojourn_operator.resources import RAY_JOBS
from sojourn_operator.runtime.actions import Patch
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.objects import Object

RAY_VERSION: Final = "2.60.0"
"""Of the trainer's image. KubeRay believes this and never looks into the image."""

_HEAD: Final = {"ray.io/node-type": "head"}
_OVERWRITE: Final = {"ray.io/overwrite-container-cmd": "true"}
_SUSPENDED: Final = ("Suspending", "Suspended")
_FAILED: Final = ("Failed", "ValidationFailed")
_UP: Final = {"tcpSocket": {"port": METRICS_PORT}, "periodSeconds": 5}
# KubeRay adds probes of its own where there are none, for a port on which our Ray does not listen.
_PROBES: Final = {
    "readinessProbe": {**_UP, "failureThreshold": 3},
    "livenessProbe": {**_UP, "initialDelaySeconds": 60, "failureThreshold": 120},
}
# KubeRay puts its own Secret's token and mode into the containers, where these are not set.
_SET_BY_KUBERAY: Final = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")


class KubeRayEngine:
    """Makes ray.io/v1 RayJobs; needs KubeRay 1.5.1 (token authentication)."""

    resource = RAY_JOBS
    optional = True
    needs = "KubeRay's operator 1.5.1 or later"
    replaces_ended_heads = True

    @property
    def head_labels(self) -> dict[str, str]:
        return dict(_HEAD)

    def workload(self, attempt: Object) -> Object:
        replicas = job_spec(attempt).workers.replicas
        cluster: dict[str, Any] = {
            "rayVersion": RAY_VERSION,
            "authOptions": {"mode": "token"},
            "enableInTreeAutoscaling": False,
            "headGroupSpec": {"rayStartParams": {}, "template": _template(attempt, "head")},
        }
        if replicas > 1:
            cluster["workerGroupSpecs"] = [
                {
                    "groupName": "workers",
                    "replicas": replicas - 1,
                    "minReplicas": replicas - 1,
                    "maxReplicas": replicas - 1,
                    "rayStartParams": {},
                    "template": _template(attempt, "worker"),
                }
            ]
        described = metadata(attempt, {**queue_labels(attempt), **attempt_labels(attempt)})
        return {
            "apiVersion": RAY_JOBS.api_version,
            "kind": RAY_JOBS.kind,
            "metadata": {**described, "annotations": dict(_OVERWRITE)},
            "spec": {
                "submissionMode": "HTTPMode",
                "entrypoint": "sleep infinity",
                "shutdownAfterJobFinishes": True,
                "backoffLimit": 0,
                "rayClusterSpec": cluster,
            },
        }

    def services(self, attempt: Object) -> Sequence[Object]:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(attempt, attempt_labels(attempt)),
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": {**attempt_labels(attempt), **_HEAD},
                "ports": [{"name": "gcs", "port": GCS_PORT, "targetPort": GCS_PORT, "protocol": "TCP"}],
            },
        }
        return (service,)

    def observe(self, workload: Object) -> Workload:
        status = workload.get("status", {})
        phase = status.get("jobDeploymentStatus", "")
        return Workload(
            object=workload,
            suspended=workload["spec"].get("suspend", False) or phase in _SUSPENDED,
            started=parse_rfc3339(status["startTime"]) if status.get("startTime") else None,
            end="Complete" if phase == "Complete" else "Failed" if phase in _FAILED else None,
            message=status.get("message", ""),
        )

    def heads(self, pods: Sequence[PodView]) -> Sequence[PodView]:
        return [pod for pod in pods if pod.labels.get("ray.io/node-type") == "head"]

    def end(self, workload: Object) -> Patch | None:
        return None  # the pods of a RayJob go with it


def _template(attempt: Object, role: str) -> dict[str, Any]:
    name = attempt["metadata"]["name"]
    template = pod_template(attempt, role, f"{name}.{attempt['metadata']['namespace']}.svc:{GCS_PORT}")
    metadata_of_pod = template["metadata"]
    metadata_of_pod["annotations"] = {**metadata_of_pod.get("annotations", {}), **_OVERWRITE}
    (container,) = template["spec"]["containers"]
    container.update(_PROBES)
    container["env"] = [entry for entry in container["env"] if entry["name"] not in _SET_BY_KUBERAY]
    return template
