"""The Job around a mover pod: restricted, with the stores that it needs and nothing else (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sojourn_operator.engines.storage import Attached
from sojourn_operator.movers.names import CONTAINER
from sojourn_operator.restricted import CONTAINER_SECURITY, POD_SECURITY
from sojourn_operator.runtime.objects import Object, owner_reference
from sojourn_operator.settings import Settings

_SMALL: Final = {"cpu": "100m", "memory": "256Mi"}
_POD_FIELDS: Final = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "schedulerName",
    "runtimeClassName",
)


@dataclass(frozen=True, slots=True)
class Mover:
    """What one mover pod does and needs.

    Args:
        verb: send, receive, probe or retire.
        attached: its stores.
        env: variables beside those of the stores.
        account: its ServiceAccount, whose token it gets; "" for none.
        template: the user's additions (podTemplate in plain JSON).
        image: image and imagePullPolicy, where the user chose them.
        resources: cpu and memory, where the user chose them.
        job: fields of the Job's spec.
        pod: fields of the pod's spec.
    """

    verb: str
    attached: Attached
    env: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    template: Mapping[str, Any] = field(default_factory=dict)
    image: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    job: Mapping[str, Any] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    container: Mapping[str, Any] = field(default_factory=dict)


def mover_job(name: str, owner: Object, labels: Mapping[str, str], mover: Mover, settings: Settings) -> Object:
    """The Job that runs it, owned by `owner`."""
    template = mover.template
    metadata: dict[str, Any] = {"labels": {**template.get("labels", {}), **labels}}
    if template.get("annotations"):
        metadata["annotations"] = dict(template["annotations"])
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(labels),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {**mover.job, "template": {"metadata": metadata, "spec": _pod(mover, settings)}},
    }


def _pod(mover: Mover, settings: Settings) -> dict[str, Any]:
    template = mover.template
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": bool(mover.account),
        "securityContext": {**POD_SECURITY, **mover.pod.get("securityContext", {})},
        "containers": [_container(mover, settings)],
        "volumes": [*mover.attached.volumes, {"name": "tmp", "emptyDir": {}}, *template.get("volumes", ())],
    }
    spec |= {name: value for name, value in mover.pod.items() if name != "securityContext"}
    spec |= {name: template[name] for name in _POD_FIELDS if template.get(name)}
    account = template.get("serviceAccountName") or mover.account
    if account:
        spec["serviceAccountName"] = account
    pull = [*template.get("imagePullSecrets", ())]
    if not mover.image.get("image"):
        pull += [{"name": name.strip()} for name in settings.image_pull_secrets.split(",") if name.strip()]
    if pull:
        spec["imagePullSecrets"] = pull
    return spec


def _container(mover: Mover, settings: Settings) -> dict[str, Any]:
    env: list[Mapping[str, Any]] = [*mover.template.get("env", ()), *mover.attached.env]
    env += [{"name": name, "value": value} for name, value in mover.env.items() if value]
    env += [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    image = dict(mover.image)
    if not image.get("image"):
        image = {"image": settings.mover_image, "imagePullPolicy": settings.image_pull_policy}
    amounts = {name: str(mover.resources.get(name) or small) for name, small in _SMALL.items()}
    return {
        "name": CONTAINER,
        **image,
        "command": ["python", "-m", "sojourn.mover", mover.verb],
        "env": env,
        **({"envFrom": list(mover.attached.env_from)} if mover.attached.env_from else {}),
        "resources": {"requests": amounts, "limits": {"memory": _limit(mover)}},
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *mover.attached.mounts,
            {"name": "tmp", "mountPath": "/tmp"},
            *mover.template.get("volumeMounts", ()),
        ],
        **mover.container,
    }


def _limit(mover: Mover) -> str:
    # A piece is 8 MiB, and each stream holds one or two; page cache of the store counts too, and is given back.
    return str(mover.resources.get("memory") or "1Gi")
