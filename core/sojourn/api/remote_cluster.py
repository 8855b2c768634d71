"""RemoteCluster: another cluster that runs can be carried to or from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model
from sojourn.api.meta import API_VERSION, ApiVersion, ObjectMeta, Time
from sojourn.api.status import Conditions, Observed


class KubeconfigReference(Model):
    """A key of a Secret in the operator's own namespace."""

    name: str = Field(
        examples=["west-kubeconfig"],
        pattern=patterns.OBJECT_NAME.regex,
        max_length=253,
        description="Name of the Secret.",
    )
    key: str = Field(default="kubeconfig", min_length=1, max_length=253, description="Key that holds the kubeconfig.")


AllowedNamespace = Annotated[str, Field(pattern=patterns.ALLOWED_NAMESPACE.regex, max_length=63)]


class RemoteClusterSpec(Model):
    """How the other cluster is reached, and who may use it."""

    kubeconfig_secret_ref: KubeconfigReference = Field(
        description="The kubeconfig, with a token or a client certificate in it; it may name no files or programs."
    )
    allowed_namespaces: tuple[AllowedNamespace, ...] = Field(
        examples=[["team-a"]],
        strict=False,
        min_length=1,
        max_length=256,
        description="Namespaces of this cluster whose migrations may use it; * means every one.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    operator_namespace: str | None = Field(
        default=None,
        examples=["sojourn-system"],
        pattern=patterns.NAMESPACE.regex,
        max_length=63,
        description="Namespace of the operator there, whose Lease tells its version. Without it, the namespace of this "
        "operator and that of the kubeconfig's context are looked into.",
    )
    operator_lease_name: str = Field(
        default="sojourn-operator",
        examples=["sojourn-teams"],
        pattern=patterns.OBJECT_NAME.regex,
        max_length=253,
        description="Name of that Lease: `leaseName` of the chart there.",
    )
    unreachable_after_seconds: int = Field(
        default=120, ge=1, le=86400, description="Seconds without an answer after which it counts as lost."
    )


class RemoteClusterStatus(Observed):
    """What was observed of a RemoteCluster."""

    conditions: Conditions = Field(
        default=(),
        description="Reachable: it answers. Authorized: the credential may do what is needed. Compatible: an operator "
        "that understands us runs there. Ready: all of these. OperatorSeen: the operator there was found; without that "
        "its version is not known.",
    )
    server: str | None = Field(default=None, max_length=1024, description="Address of its API server.")
    version: str | None = Field(default=None, max_length=64, description="Version of its Kubernetes.")
    operator_version: str | None = Field(default=None, max_length=64, description="Version of the operator there.")
    crd_versions: dict[str, Annotated[str, Field(max_length=64)]] = Field(
        default={}, max_length=32, description="Version of Sojourn that each of its CustomResourceDefinitions is from."
    )
    last_seen_time: Time | None = Field(default=None, description="When it last answered.")
    kept_by: str | None = Field(
        default=None,
        max_length=63,
        description="Namespace of the operator of this cluster that holds the connection and keeps this status.",
    )
    last_look_time: Time | None = Field(default=None, description="When that operator last tried.")


class RemoteCluster(Model):
    """Another cluster, known by a name, with the credential to reach it."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Group and version of the resource.")
    kind: Literal["RemoteCluster"] = Field(default="RemoteCluster", description="Kind of the resource.")
    metadata: ObjectMeta = Field(description="Name and labels.")
    spec: RemoteClusterSpec = Field(description="What is asked for.")
    status: RemoteClusterStatus | None = Field(default=None, description="What was observed; written by the operator.")

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name
