"""The pod of an attempt, the same for every engine: restricted, with nothing but what the job needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sojourn.api import TrainingJobSpec
from sojourn_operator.engines.names import (
    CONTAINER,
    DASHBOARD_PORT,
    GCS_PORT,
    METRICS_PORT,
    account_name,
    attempt_labels,
    token_secret_name,
)
from sojourn_operator.engines.storage import Attached, code_files, restore_store, run_store
from sojourn_operator.engines.tpu import chips_per_worker, node_selector
from sojourn_operator.restricted import CONTAINER_SECURITY, POD_SECURITY
from sojourn_operator.runtime.objects import Object

COMMAND: Final = ["python", "-m", "sojourn_trainer.node", "pod"]
_FIELDS: Final = {"POD_NAME": "metadata.name", "POD_UID": "metadata.uid", "POD_IP": "status.podIP"}


def job_spec(attempt: Object) -> TrainingJobSpec:
    """The job's spec as the attempt froze it."""
    return TrainingJobSpec.from_manifest(attempt["spec"]["job"])


def pod_template(attempt: Object, role: str, head_address: str) -> dict[str, Any]:
    """Metadata and spec of a pod.

    Args:
        role: head, worker, or auto where the Job's index decides.
        head_address: host and port of Ray's head.
    """
    spec = job_spec(attempt)
    extra = spec.pod_template
    attached = _attached(attempt)
    template: dict[str, Any] = {
        "metadata": {
            "labels": {**extra.labels, **attempt_labels(attempt)},
            **({"annotations": dict(extra.annotations)} if extra.annotations else {}),
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": spec.termination_grace_period_seconds,
            "enableServiceLinks": False,
            "serviceAccountName": extra.service_account_name or account_name(attempt["spec"]["jobName"]),
            "automountServiceAccountToken": True,
            "securityContext": POD_SECURITY,
            "containers": [_container(attempt, attached, _identity(attempt, role, head_address))],
            "volumes": [*attached.volumes, *_scratch_volumes(spec), *_dumped(extra.volumes)],
        },
    }
    template["spec"] |= _scheduling(spec)
    return template


def _attached(attempt: Object) -> Attached:
    store, job = attempt["spec"]["store"], attempt["spec"]["job"]
    attached = run_store(store) + code_files(job["task"].get("code"))
    if "restoreStore" in attempt["spec"]:
        attached += restore_store(attempt["spec"]["restoreStore"])
    return attached


def _identity(attempt: Object, role: str, head_address: str) -> dict[str, str]:
    return {
        "SOJOURN_ATTEMPT_NAMESPACE": attempt["metadata"]["namespace"],
        "SOJOURN_ATTEMPT_NAME": attempt["metadata"]["name"],
        "SOJOURN_ENGINE": attempt["spec"]["engine"],
        "SOJOURN_ROLE": role,
        "SOJOURN_HEAD_ADDRESS": head_address,
        "RAY_AUTH_MODE": "token",
    }


def _container(attempt: Object, attached: Attached, identity: Mapping[str, str]) -> dict[str, Any]:
    spec = job_spec(attempt)
    amounts = _amounts(spec)
    token = {"name": token_secret_name(attempt["spec"]["jobName"]), "key": "token"}
    env: list[Mapping[str, Any]] = [{"name": name, "value": value} for name, value in identity.items()]
    env += [{"name": "RAY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": token}}]
    env += [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in _FIELDS.items()]
    return {
        "name": CONTAINER,
        "image": spec.image,
        **({"imagePullPolicy": spec.image_pull_policy} if spec.image_pull_policy else {}),
        "command": COMMAND,
        # The job's own variables come first, so that none of them can replace one of ours.
        "env": _last_wins([*_dumped(spec.pod_template.env), *env, *attached.env]),
        **({"envFrom": list(attached.env_from)} if attached.env_from else {}),
        "ports": [
            {"name": "gcs", "containerPort": GCS_PORT},
            {"name": "dashboard", "containerPort": DASHBOARD_PORT},
            {"name": "metrics", "containerPort": METRICS_PORT},
        ],
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *attached.mounts,
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
            *_dumped(spec.pod_template.volume_mounts),
        ],
    }


def _amounts(spec: TrainingJobSpec) -> dict[str, str]:
    resources = spec.workers.resources
    amounts = {"cpu": resources.cpu, "memory": resources.memory}
    if resources.gpu:
        amounts["nvidia.com/gpu"] = str(resources.gpu)
    if spec.workers.tpu:
        amounts["google.com/tpu"] = str(chips_per_worker(spec.workers.tpu, spec.workers.replicas))
    return amounts


def _scratch_volumes(spec: TrainingJobSpec) -> list[dict[str, Any]]:
    shm = {"medium": "Memory", "sizeLimit": spec.pod_template.shared_memory}
    return [{"name": "tmp", "emptyDir": {}}, {"name": "shm", "emptyDir": shm}]


def _scheduling(spec: TrainingJobSpec) -> dict[str, Any]:
    extra = spec.pod_template
    fields: dict[str, Any] = {
        "nodeSelector": {**node_selector(spec.workers.tpu), **extra.node_selector},
        "tolerations": _dumped(extra.tolerations),
        "affinity": dict(extra.affinity),
        "imagePullSecrets": _dumped(extra.image_pull_secrets),
        "priorityClassName": extra.priority_class_name,
        "schedulerName": extra.scheduler_name,
        "runtimeClassName": extra.runtime_class_name,
    }
    return {name: value for name, value in fields.items() if value}


def _dumped(parts: Sequence[Any]) -> list[dict[str, Any]]:
    return [part.to_manifest() for part in parts]


def _last_wins(env: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({entry["name"]: entry for entry in env}.values())
