"""Logs that a run keeps in its store, under logs/<attempt>/<pod>.log of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sojourn.errors import NotFound
from sojourn.store.base import KeyMissing
from sojourn_operator.engines.storage import STORE_PATH, claim_of
from sojourn_operator.resources import PODS
from sojourn_operator.restricted import CONTAINER_SECURITY, POD_SECURITY
from sojourn_operator.runtime.objects import Object

if TYPE_CHECKING:
    from sojourn_operator.client.job import Job


def kept_log(job: Job, attempt: Object, pod: str) -> bytes:
    """The kept log of a pod of an attempt.

    Raises:
        NotFound: there is none.
        StoreError: the store cannot be read from here.
    """
    name, status = attempt["metadata"]["name"], attempt.get("status", {})
    prefix = status.get("run", {}).get("prefix") or job.status.get("prefix")
    if not prefix or not pod:
        raise NotFound(
            f"the pods of {name} are gone, and had not begun a run that could have kept their log",
            hint=f"`sojourn status {job.name}` and kubectl get events show what happened.",
        )
    key = f"{prefix}/logs/{name}/{pod}.log"
    store = attempt["spec"]["store"]
    data = _by_pod(job, attempt, key) if claim_of(store)[0] else _from_object_store(store, key)
    if data is None:
        raise NotFound(
            f"pod {pod} of {name} is gone, and its log was not kept as {key} of the store",
            hint="A pod that was killed at once had no time to keep the last minute of its log.",
        )
    return data


def _from_object_store(store: Mapping[str, Any], key: str) -> bytes | None:
    from sojourn.store.open import open_store

    endpoint = "base_url" if store["uri"].startswith("gs://") else "endpoint"
    options = {"region": store.get("region"), endpoint: store.get("endpoint")}
    try:
        return open_store(store["uri"], {name: value for name, value in options.items() if value}).read(key)
    except KeyMissing:
        return None


def _by_pod(job: Job, attempt: Object, key: str) -> bytes | None:
    """Let a pod that mounts the volume print it, and remove the pod again."""
    client = job.client
    reader = reader_pod(client.namespace, attempt, key)
    name = reader["metadata"]["name"]
    client.port.delete(PODS, client.namespace, name)
    for _ in client.looks(60.0, f"the removal of an older pod {name}"):
        if client.port.get(PODS, client.namespace, name) is None:
            break
    client.port.create(reader)
    try:
        for _ in client.looks(120.0, f"the pod {name}, which reads the log,"):
            phase = (client.port.get(PODS, client.namespace, name) or {}).get("status", {}).get("phase")
            if phase in ("Succeeded", "Failed"):
                return b"".join(client.pods.log(client.namespace, name)) if phase == "Succeeded" else None
    finally:
        client.port.delete(PODS, client.namespace, name)
    return None


def reader_pod(namespace: str, attempt: Object, key: str) -> dict[str, Any]:
    """A pod that prints one file of a volume. It runs the job's own image, which the nodes have. Pure."""
    claim, path = claim_of(attempt["spec"]["store"])
    spec = attempt["spec"]["job"]
    template = spec.get("podTemplate", {})
    place = "/".join(part for part in (STORE_PATH, path.strip("/"), key) if part)
    placing = {name: template[name] for name in ("nodeSelector", "tolerations", "imagePullSecrets") if name in template}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{attempt['metadata']['name']}-logs", "namespace": namespace},
        "spec": {
            **placing,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 120,
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            "containers": [
                {
                    "name": "logs",
                    "image": spec["image"],
                    "command": ["cat", place],
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"},
                        "limits": {"memory": "64Mi"},
                    },
                    "securityContext": CONTAINER_SECURITY,
                    "volumeMounts": [{"name": "store", "mountPath": STORE_PATH, "readOnly": True}],
                }
            ],
            "volumes": [{"name": "store", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }
