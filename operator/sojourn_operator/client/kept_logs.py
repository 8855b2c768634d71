"""Logs that a run keeps in its store, under logs/<attempt>/<pod>.log of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sojourn.errors import NotFound, StoreError
from sojourn.store.base import KeyMissing
from sojourn_operator.engines.storage import STORE_PATH, claim_of
from sojourn_operator.resources import PODS
from sojourn_operator.restricted import CONTAINER_SECURITY, POD_SECURITY
from sojourn_operator.runtime.objects import Object
from sojourn_operator.runtime.port import ClusterError

if TYPE_CHECKING:
    from sojourn_operator.client.job import Job

READER_SECONDS: Final = 120.0
NOT_THERE: Final = 44
"""The reader's exit code for a log that was not kept; neither a shell nor cat ends with it."""


def kept_log(job: Job, attempt: Object, pod: str) -> bytes:
    """The kept log of a pod of an attempt.

    Raises:
        NotFound: there is none.
        StoreError: the store cannot be read from here, or by the pod that was to read it.
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
    started = client.clock.monotonic()
    try:
        for _ in client.looks(None, name):
            pod = client.port.get(PODS, client.namespace, name)
            if pod is None:
                raise StoreError(f"pod {name}, which reads the log, was deleted before it had done so")
            phase = pod.get("status", {}).get("phase")
            if phase == "Succeeded":
                return b"".join(client.pods.log(client.namespace, name))
            if phase == "Failed" and _exit_code(pod) == NOT_THERE:
                return None
            if phase == "Failed" or client.clock.monotonic() - started >= READER_SECONDS:
                raise _unread(job, pod)
    finally:
        client.port.delete(PODS, client.namespace, name)
    return None


def _unread(job: Job, pod: Object) -> StoreError:
    name = pod["metadata"]["name"]
    why = _trouble(pod)
    if not why:
        try:
            why = b"".join(job.client.pods.log(job.client.namespace, name, tail=3)).decode(errors="replace").strip()
        except ClusterError as error:
            why = error.message
    return StoreError(
        f"pod {name}, which mounts the volume, could not read the log: {why}",
        hint="The log may well be there. The pod runs the job's image in its namespace: what it says was in its way "
        "is to be mended there. Then ask again.",
    )


def _exit_code(pod: Object) -> int | None:
    for container in pod.get("status", {}).get("containerStatuses", ()):
        code = container.get("state", {}).get("terminated", {}).get("exitCode")
        if code is not None:
            return int(code)
    return None


def _trouble(pod: Object) -> str:
    """What Kubernetes says is in the way of a pod, "" where its log tells more."""
    status = pod.get("status", {})
    if status.get("reason"):
        return ": ".join(filter(None, (status["reason"], status.get("message"))))
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        waiting = state.get("waiting", {})
        if waiting.get("reason"):
            return ": ".join(filter(None, (waiting["reason"], waiting.get("message"))))
        if "terminated" in state:
            return ""
    for found in status.get("conditions", ()):
        if found["type"] == "PodScheduled" and found["status"] == "False":
            return str(found.get("message") or found.get("reason"))
    return f"it is {status.get('phase', 'Pending')} after {READER_SECONDS:g} s"


def reader_command(place: str) -> list[str]:
    """Print a file; exit code NOT_THERE where there is none. Any other failure has a code of its own."""
    return ["sh", "-c", f'test -e "$0" || exit {NOT_THERE}; exec cat "$0"', place]


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
            "activeDeadlineSeconds": int(READER_SECONDS),
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            "containers": [
                {
                    "name": "logs",
                    "image": spec["image"],
                    "command": reader_command(place),
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
