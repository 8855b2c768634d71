"""What the operator tells a pod by its environment, read in this one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sojourn.errors import InvalidInput
from sojourn.incluster import ObjectRef
from sojourn.incluster.api_server import SERVICE_ACCOUNT

_INDEX = "JOB_COMPLETION_INDEX"
_OBJECT_STORE_VARIABLES = {
    "s3": ("AWS_REGION", "AWS_ENDPOINT", "AWS_ALLOW_HTTP"),
    "gs": ("", "GOOGLE_BASE_URL", "GOOGLE_ALLOW_HTTP"),
    "az": ("", "AZURE_ENDPOINT", "AZURE_ALLOW_HTTP"),
}


@dataclass(frozen=True)
class PodSettings:
    """One pod of a TrainingAttempt.

    Attributes:
        attempt: the object to watch and to report to.
        head: whether this pod is the head.
        head_address: where the head's GCS listens, "host:port".
        pod: name of this pod.
        uid: its UID.
        address: its IP address.
        store: address of the run's store.
        ray_token: shared by the pods of a job.
        code: folder with the code of a ConfigMap, or None.
        dashboard_port: of Ray's dashboard on the head.
        metrics_port: for Prometheus, on every pod.
        agent_port: of Ray's agent on every pod, which KubeRay's probes ask.
        report_seconds: how often progress is reported at most.
        service_account: folder with the token and the certificates of the API server.
        termination_log: file in which the kubelet looks for a container's last words.
    """

    attempt: ObjectRef
    head: bool
    head_address: str
    pod: str
    uid: str
    address: str
    store: str
    ray_token: str
    code: Path | None
    dashboard_port: int = 8265
    metrics_port: int = 8080
    agent_port: int = 52365
    report_seconds: float = 10.0
    service_account: Path = SERVICE_ACCOUNT
    termination_log: Path = Path("/dev/termination-log")


def read_pod_settings(environment: Mapping[str, str] = os.environ) -> PodSettings:
    """Settings from environment variables. Raises InvalidInput, naming what is missing."""

    def needed(name: str) -> str:
        value = environment.get(name, "")
        if not value:
            raise InvalidInput(f"{name} is not set", hint="The operator makes the pods that run this command.")
        return value

    code = environment.get("SOJOURN_CODE")
    return PodSettings(
        attempt=ObjectRef("trainingattempts", needed("SOJOURN_ATTEMPT_NAME"), needed("SOJOURN_ATTEMPT_NAMESPACE")),
        head=_is_head(environment),
        head_address=needed("SOJOURN_HEAD_ADDRESS"),
        pod=needed("POD_NAME"),
        uid=needed("POD_UID"),
        address=needed("POD_IP"),
        store=needed("SOJOURN_STORE"),
        ray_token=needed("RAY_AUTH_TOKEN"),
        code=Path(code) if code else None,
        dashboard_port=int(environment.get("SOJOURN_DASHBOARD_PORT", "8265")),
        metrics_port=int(environment.get("SOJOURN_METRICS_PORT", "8080")),
        agent_port=int(environment.get("SOJOURN_AGENT_PORT", "52365")),
        report_seconds=float(environment.get("SOJOURN_REPORT_SECONDS", "10")),
        service_account=Path(environment.get("SOJOURN_SERVICE_ACCOUNT") or SERVICE_ACCOUNT),
    )


def store_variables(environment: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """Region and endpoint by the names that object-store clients read, for this process and all that it starts."""
    scheme = environment.get("SOJOURN_STORE", "").partition("://")[0]
    region, endpoint, plain_http = _OBJECT_STORE_VARIABLES.get(scheme, ("", "", ""))
    known = {
        region: environment.get("SOJOURN_STORE_REGION", ""),
        endpoint: environment.get("SOJOURN_STORE_ENDPOINT", ""),
        plain_http: "true" if environment.get("SOJOURN_STORE_ENDPOINT", "").startswith("http://") else "",
    }
    return {name: value for name, value in known.items() if name and value}


def _is_head(environment: Mapping[str, str]) -> bool:
    role = environment.get("SOJOURN_ROLE", "auto")
    if role in ("head", "worker"):
        return role == "head"
    index = environment.get(_INDEX, "")
    if role != "auto" or not index.isdecimal():
        raise InvalidInput(
            f"SOJOURN_ROLE is {role!r} and {_INDEX} {index!r}, which tells not whether this pod is the head",
            hint="SOJOURN_ROLE is head, worker, or auto in an Indexed Job.",
        )
    return index == "0"
