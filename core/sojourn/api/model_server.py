"""ModelServer: replicas that serve an exported model of a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model, Rule, exactly_one
from sojourn.api.meta import API_VERSION, ApiVersion, ObjectMeta, Time
from sojourn.api.pods import Image, ImagePullPolicy, PodTemplate, StringMap
from sojourn.api.policy import THE_RUN, StoreReference
from sojourn.api.resources import Resources
from sojourn.api.status import Conditions, Observed

HostName = Annotated[str, Field(pattern=patterns.HOST_NAME.regex, max_length=253)]


class ServedModel(Model):
    """Which model is served: an export of a run."""

    store_ref: StoreReference = Field(description="The store that the run lives in.")
    run: str = Field(
        examples=["digits"],
        pattern=patterns.RUN.regex,
        max_length=253,
        description=f"{THE_RUN}.",
    )
    namespace: str | None = Field(
        default=None,
        pattern=patterns.NAMESPACE.regex,
        max_length=63,
        description="Namespace in the run's folder; absent: that of this object.",
    )
    version: int | None = Field(
        default=None, ge=0, le=1 << 53, description="Version of the export; absent: the newest one."
    )
    checkpoint: str | None = Field(
        default=None,
        pattern=patterns.CHECKPOINT_CHOICE.regex,
        max_length=16,
        description="The export of this checkpoint instead: latest, best or a step.",
    )

    rules = (
        Rule(
            "version and checkpoint exclude each other",
            "!has(self.version) || !has(self.checkpoint)",
            lambda model: model.version is None or model.checkpoint is None,
            touches=("version", "checkpoint"),
        ),
    )


class IngressExposure(Model):
    """An Ingress that leads to the server."""

    host: HostName = Field(examples=["models.example.com"], description="Host name that it answers to.")
    class_name: str | None = Field(
        default=None,
        pattern=patterns.OBJECT_NAME.regex,
        max_length=253,
        description="IngressClass; absent: the default one.",
    )
    tls_secret_name: str | None = Field(
        default=None,
        pattern=patterns.OBJECT_NAME.regex,
        max_length=253,
        description="Secret with the certificate for TLS; absent: plain HTTP.",
    )
    annotations: StringMap = Field(default={}, description="Annotations that the Ingress controller reads.")


class Gateway(Model):
    """A Gateway of the cluster."""

    name: str = Field(
        examples=["public"], pattern=patterns.OBJECT_NAME.regex, max_length=253, description="Name of the Gateway."
    )
    namespace: str | None = Field(
        default=None, pattern=patterns.NAMESPACE.regex, max_length=63, description="Its namespace; absent: this one."
    )
    section_name: str | None = Field(
        default=None,
        pattern=patterns.OBJECT_NAME.regex,
        max_length=253,
        description="Its listener, such as the one that terminates TLS; absent: every one.",
    )


class HttpRouteExposure(Model):
    """An HTTPRoute that leads from a Gateway to the server."""

    gateway: Gateway = Field(description="The Gateway. TLS is terminated there.")
    hostnames: tuple[HostName, ...] = Field(
        default=(), strict=False, max_length=16, description="Host names that it answers to; none: the Gateway's."
    )
    tls: bool = Field(default=False, description="The Gateway's listener terminates TLS: the address is https.")


class ServerExposure(Model):
    """How the server is reached from outside the cluster: exactly one of the fields."""

    ingress: IngressExposure | None = Field(default=None, description="By an Ingress.")
    http_route: HttpRouteExposure | None = Field(default=None, description="By an HTTPRoute of the Gateway API.")

    rules = (exactly_one("ingress", "httpRoute"),)


class Rollback(Model):
    """An order to go back to a version that was served before."""

    to_version: int = Field(examples=[3], ge=0, le=1 << 53, description="The version to serve, whatever is newest.")


class ServerTemplate(Model):
    """How a model is served, apart from which."""

    replicas: int = Field(default=1, ge=0, le=1000, description="Number of pods.")
    runtime: Literal["builtin"] = Field(default="builtin", description="What serves. builtin: Sojourn's own server.")
    image: Image | None = Field(default=None, description="Image of the server; absent: the operator's setting.")
    image_pull_policy: ImagePullPolicy | None = Field(
        default=None, description="When nodes pull the image; absent: as Kubernetes does for its tag."
    )
    resources: Resources = Field(default=Resources(), description="What each pod gets.")
    pod_template: PodTemplate = Field(default=PodTemplate(), description="Additions to the pods.")
    exposure: ServerExposure | None = Field(
        default=None, description="How it is reached from outside; absent: by its Service alone."
    )
    model_name: str | None = Field(
        default=None,
        pattern=patterns.JOB_NAME.regex,
        max_length=40,
        description="Name of the model in the server's paths; absent: that of the run.",
    )
    max_batch: int = Field(default=64, ge=1, le=65536, description="Rows run together at most; 1 turns batching off.")
    termination_grace_period_seconds: int = Field(
        default=60, ge=1, le=86400, description="Seconds that requests in flight get when a pod is told to stop."
    )
    progress_deadline_seconds: int = Field(
        default=600,
        ge=1,
        le=86400,
        description="Seconds that a version gets to become ready, after which it is rolled back.",
    )


class ModelServerSpec(ServerTemplate):
    """Which model is served, by how many replicas of what."""

    model: ServedModel = Field(description="Which model is served.")
    rollback: Rollback | None = Field(
        default=None, description="Serve an earlier version; remove it to follow the model again."
    )


class ServedVersion(Model):
    """A version that is or was served, by pods as they were described then."""

    revision: str = Field(
        examples=["v3-1a2b3c4d"], max_length=40, description="Names the version together with its pods' description."
    )
    version: int = Field(examples=[3], ge=0, description="Version of the export.")
    run: str | None = Field(default=None, max_length=1024, description="Folder of its run in the store.")
    step: int | None = Field(default=None, ge=0, description="Step whose weights it holds.")
    manifest: str | None = Field(default=None, max_length=71, description="Digest of the export's manifest.")
    state: str | None = Field(default=None, max_length=32, description="What it is: Active, Target, Standby or Failed.")
    replicas: int | None = Field(default=None, ge=0, description="Pods of it.")
    ready_replicas: int | None = Field(default=None, ge=0, description="Pods of it that are ready.")
    reason: str | None = Field(default=None, max_length=128, description="Why it failed, as one CamelCase word.")
    message: str | None = Field(default=None, max_length=4096, description="Why it failed, for people.")
    time: Time | None = Field(default=None, description="When it became what it is.")


class ResolvedModel(Model):
    """The export that spec.model was found to mean."""

    request: str = Field(examples=["1a2b3c4d5e"], max_length=64, description="Names what was looked up.")
    version: int = Field(examples=[3], ge=0, description="Version of the export.")
    run: str = Field(
        examples=["team-a/digits-6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11"],
        max_length=1024,
        description="Folder of its run in the store.",
    )
    step: int | None = Field(default=None, ge=0, description="Step whose weights it holds.")
    manifest: str = Field(
        examples=["blake3:" + 64 * "0"],
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the export's manifest, which names those of all files.",
    )


class ModelServerStatus(Observed):
    """What was observed of a ModelServer."""

    conditions: Conditions = Field(
        default=(),
        description="Ready: enough pods answer. Progressing: another version is on its way. RolledBack: the newest "
        "one failed, and the one before it serves.",
    )
    active_version: int | None = Field(default=None, ge=0, description="The version that answers.")
    target_version: int | None = Field(default=None, ge=0, description="The version that is to answer.")
    replicas: int | None = Field(default=None, ge=0, description="Number of pods.")
    ready_replicas: int | None = Field(default=None, ge=0, description="Pods that answer.")
    selector: str | None = Field(default=None, max_length=4096, description="Labels of the pods, for autoscalers.")
    url: str | None = Field(default=None, max_length=1024, description="Address of the server.")
    resolved: ResolvedModel | None = Field(default=None, description="What spec.model was found to mean.")
    versions: tuple[ServedVersion, ...] = Field(
        default=(), strict=False, max_length=20, description="Versions that are or were served, newest first."
    )


class ModelServer(Model):
    """Replicas that serve an exported model, updated without a failed request and rolled back when it fails."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Group and version of the resource.")
    kind: Literal["ModelServer"] = Field(default="ModelServer", description="Kind of the resource.")
    metadata: ObjectMeta = Field(description="Name, namespace and labels.")
    spec: ModelServerSpec = Field(description="What is asked for.")
    status: ModelServerStatus | None = Field(default=None, description="What was observed; written by the operator.")

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name
