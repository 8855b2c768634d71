"""Pod specs: the one that looks up an export, and those that fetch it, verify it and serve it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sojourn_operator.engines.storage import Attached
from sojourn_operator.modelserver.names import PORT, run_name
from sojourn_operator.restricted import CONTAINER_SECURITY, POD_SECURITY
from sojourn_operator.settings import Settings

MODEL_MOUNT: Final = "/sojourn/model"
_FETCH: Final = ("python", "-m", "sojourn_serving.fetch")
_TMP: Final = {"name": "tmp", "mountPath": "/tmp"}
_SMALL: Final = {"cpu": "100m", "memory": "256Mi"}


@dataclass(frozen=True, slots=True)
class Export:
    """One immutable model version, as it was found in the store.

    Args:
        manifest: digest of its manifest, which names those of all files.
        run: the run's folder in the store.
    """

    version: int
    manifest: str
    run: str

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Export:
        """From status.resolved or an entry of status.versions."""
        return cls(found["version"], found["manifest"], found["run"])


def resolver_spec(
    spec: Mapping[str, Any], access: Attached, address: str, version: int | None, settings: Settings
) -> dict[str, Any]:
    """Spec of the pod that says which export `address` means."""
    wanted = [f"--version={version}"] if version is not None else []
    container = {
        "name": "resolve",
        "command": [*_FETCH, "resolve", address, *wanted],
        "resources": {"requests": _SMALL, "limits": {"memory": _SMALL["memory"]}},
        **_reads(spec, access, settings),
    }
    return {
        **_common(spec, settings),
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 300,
        "containers": [container],
        "volumes": [_empty("tmp"), *access.volumes],
    }


def server_spec(
    server: str, spec: Mapping[str, Any], access: Attached, export: Export, settings: Settings
) -> dict[str, Any]:
    """Spec of a pod that serves one export. Only its init container sees the store and its credentials."""
    template = spec.get("podTemplate", {})
    fetch = {
        "name": "fetch",
        "command": [
            *_FETCH,
            "load",
            export.run,
            f"--version={export.version}",
            f"--manifest={export.manifest}",
            f"--into={MODEL_MOUNT}",
        ],
        "resources": {"requests": _SMALL, "limits": {"memory": "512Mi"}},
        **_reads(spec, access, settings),
    }
    fetch["volumeMounts"] = [*fetch["volumeMounts"], {"name": "model", "mountPath": MODEL_MOUNT}]
    grace = spec["terminationGracePeriodSeconds"]
    return {
        **_common(spec, settings),
        "terminationGracePeriodSeconds": grace,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"sojourn.dev/model-server": server}},
                "matchLabelKeys": ["pod-template-hash"],
            }
        ],
        "initContainers": [fetch],
        "containers": [_serving(spec, export, settings)],
        "volumes": [_empty("tmp"), _empty("model"), *access.volumes, *template.get("volumes", ())],
    }


def model_name(spec: Mapping[str, Any]) -> str:
    """The model's name in URLs: the run's, unless another is wanted."""
    name: str = spec.get("modelName") or run_name(spec["model"]["run"])
    return name


def _serving(spec: Mapping[str, Any], export: Export, settings: Settings) -> dict[str, Any]:
    template = spec.get("podTemplate", {})
    resources = spec.get("resources", {})
    amounts = {"cpu": resources.get("cpu", "1"), "memory": resources.get("memory", "2Gi")}
    if resources.get("gpu"):
        amounts["nvidia.com/gpu"] = str(resources["gpu"])
    drain = min(10, spec["terminationGracePeriodSeconds"] // 4)
    folder = f"{MODEL_MOUNT}/{export.manifest.removeprefix('blake3:')}/{export.version}"
    return {
        "name": "server",
        **_image(spec, settings),
        "command": [
            "sojourn",
            "serve",
            folder,
            f"--name={model_name(spec)}",
            "--host=0.0.0.0",
            f"--port={PORT}",
            f"--replicas={_processes(amounts['cpu'])}",
            f"--max-batch={spec['maxBatch']}",
            f"--drain-delay={drain}",
            f"--grace={max(1, spec['terminationGracePeriodSeconds'] - drain - 5)}",
        ],
        "env": list(template.get("env", ())),
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        # The supervisor answers /healthz from its first moment, so a slow load needs no startup probe.
        "livenessProbe": _probe("/healthz", period=10, failures=6),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            _TMP,
            {"name": "model", "mountPath": MODEL_MOUNT, "readOnly": True},
            *template.get("volumeMounts", ()),
        ],
    }


def _processes(cpu: str) -> int:
    """One process per whole core: a second TensorFlow thread in a process gains nothing."""
    return max(1, int(float(cpu.removesuffix("m")) / (1000 if cpu.endswith("m") else 1)))


def _reads(spec: Mapping[str, Any], access: Attached, settings: Settings) -> dict[str, Any]:
    """What the containers that read the store have in common."""
    return {
        **_image(spec, settings),
        "env": list(access.env),
        "envFrom": list(access.env_from),
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [_TMP, *access.mounts],
    }


def _common(spec: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    template = spec.get("podTemplate", {})
    secrets = [{"name": name} for name in settings.image_pull_secrets.split(",") if name.strip()]
    optional = {
        name: template[name]
        for name in (
            "nodeSelector",
            "tolerations",
            "affinity",
            "priorityClassName",
            "schedulerName",
            "runtimeClassName",
            "serviceAccountName",
        )
        if template.get(name)
    }
    pull_secrets = [*template.get("imagePullSecrets", ()), *([] if spec.get("image") else secrets)]
    if pull_secrets:
        optional["imagePullSecrets"] = pull_secrets
    return {
        **optional,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
    }


def _image(spec: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    if "image" not in spec:
        return {"image": settings.serving_image, "imagePullPolicy": settings.image_pull_policy}
    policy = spec.get("imagePullPolicy")
    return {"image": spec["image"], "imagePullPolicy": policy} if policy else {"image": spec["image"]}


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _empty(name: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": {}}
