"""What people add to the pods that Sojourn makes, in the words of Kubernetes' own pod template.

Parts that the API server checks anyway when the pod is made (volumes, affinity, valueFrom) are carried as they are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from sojourn.api import patterns
from sojourn.api.base import JsonObject, Model, Rule
from sojourn.api.meta import MemoryQuantity, NameReference

ImagePullPolicy = Literal["Always", "IfNotPresent", "Never"]
Image = Annotated[str, Field(pattern=patterns.IMAGE.regex, max_length=512)]
StringMap = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]


def _keyed(*keys: str) -> Any:
    """The list is a map by these keys, so that two appliers do not fight over its order."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class Toleration(Model):
    """A taint of nodes that the pods put up with."""

    key: str | None = Field(default=None, max_length=317, description="Key of the taint; absent matches every key.")
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="How value is compared.")
    value: str | None = Field(default=None, max_length=63, description="Value of the taint, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint; absent matches every effect."
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, le=1 << 31, description="Seconds for which a NoExecute taint is put up with."
    )


class EnvVar(Model):
    """An environment variable."""

    name: str = Field(
        examples=["TF_CPP_MIN_LOG_LEVEL"],
        min_length=1,
        max_length=253,
        description="Name of the variable.",
    )
    value: str | None = Field(default=None, max_length=32768, description="Its value.")
    value_from: JsonObject | None = Field(
        default=None, description="Where the value is found, such as secretKeyRef or fieldRef, as in a pod."
    )

    rules = (
        Rule(
            "value and valueFrom exclude each other",
            "!has(self.value) || !has(self.valueFrom)",
            lambda env: env.value is None or env.value_from is None,
            touches=("value", "valueFrom"),
        ),
        Rule(
            "names that begin with SOJOURN_ are set by Sojourn",
            "!self.name.startsWith('SOJOURN_')",
            lambda env: not env.name.startswith("SOJOURN_"),
            at=("name",),
        ),
    )


class Volume(Model):
    """A volume of the pods, as in a pod: its name, and one source such as configMap or persistentVolumeClaim."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(
        examples=["datasets"], pattern=patterns.NAMESPACE.regex, max_length=63, description="Name that mounts refer to."
    )


class VolumeMount(Model):
    """Where a volume appears in the container."""

    name: str = Field(
        examples=["datasets"], pattern=patterns.NAMESPACE.regex, max_length=63, description="Name of the volume."
    )
    mount_path: str = Field(
        examples=["/datasets"], min_length=1, max_length=1024, description="Folder of the container."
    )
    sub_path: str | None = Field(default=None, max_length=1024, description="Folder inside the volume.")
    read_only: bool = Field(default=False, description="Mount it for reading only.")


class PodTemplate(Model):
    """Additions to the pods: where they may run, what they mount and how they are labelled."""

    labels: StringMap = Field(default={}, description="Labels added to the pods.")
    annotations: StringMap = Field(default={}, description="Annotations added to the pods.")
    node_selector: StringMap = Field(default={}, description="Labels that a node must have.")
    tolerations: tuple[Toleration, ...] = Field(
        default=(), strict=False, max_length=64, description="Taints of nodes that the pods put up with."
    )
    affinity: JsonObject = Field(default={}, description="Scheduling preferences, as in a pod.")
    image_pull_secrets: tuple[NameReference, ...] = Field(
        default=(), strict=False, max_length=16, description="Secrets of the same namespace to pull images with."
    )
    env: tuple[EnvVar, ...] = Field(
        default=(),
        strict=False,
        max_length=256,
        description="Environment variables added to the container.",
        json_schema_extra=_keyed("name"),
    )
    volumes: tuple[Volume, ...] = Field(
        default=(),
        strict=False,
        max_length=64,
        description="Volumes added to the pods.",
        json_schema_extra=_keyed("name"),
    )
    volume_mounts: tuple[VolumeMount, ...] = Field(
        default=(),
        strict=False,
        max_length=64,
        description="Where the container sees them.",
        json_schema_extra=_keyed("mountPath"),
    )
    priority_class_name: str | None = Field(
        default=None, pattern=patterns.OBJECT_NAME.regex, max_length=253, description="PriorityClass of the pods."
    )
    scheduler_name: str | None = Field(
        default=None, pattern=patterns.OBJECT_NAME.regex, max_length=253, description="Scheduler that places the pods."
    )
    runtime_class_name: str | None = Field(
        default=None, pattern=patterns.OBJECT_NAME.regex, max_length=253, description="RuntimeClass of the pods."
    )
    service_account_name: str | None = Field(
        default=None,
        pattern=patterns.OBJECT_NAME.regex,
        max_length=253,
        description="ServiceAccount of the pods, instead of one that Sojourn makes with the least rights.",
    )


class TrainerPodTemplate(PodTemplate):
    """Additions to the pods of an attempt: where they may run, what they mount and how they are labelled."""

    shared_memory: MemoryQuantity = Field(
        default="1Gi", description="Size of /dev/shm, which Ray's object store uses; it counts as the worker's memory."
    )
