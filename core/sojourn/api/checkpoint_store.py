"""CheckpointStore: a place where runs live, known to a cluster by a name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model, Rule, exactly_one, unchangeable_optional
from sojourn.api.meta import API_VERSION, ApiVersion, NameReference, ObjectMeta, Time
from sojourn.api.status import Conditions, Observed

_OBJECT_STORE_ONLY = "is for object stores: set it together with an s3://, gs:// or az:// uri"


class PersistentVolume(Model):
    """A folder of a PersistentVolumeClaim."""

    claim_name: str = Field(
        examples=["runs"],
        pattern=patterns.OBJECT_NAME.regex,
        max_length=253,
        description="Name of the claim in the store's namespace.",
    )
    path: str = Field(default="", max_length=1024, description="Folder inside the volume; its root if empty.")

    rules = (
        Rule(
            "path is relative to the volume's root and stays inside it",
            "!self.path.startsWith('/') && !self.path.matches('(^|/)[.][.](/|$)')",
            lambda pvc: not pvc.path.startswith("/") and ".." not in pvc.path.split("/"),
            at=("path",),
        ),
    )


def _object_store_field(name: str, attribute: str) -> Rule:
    return Rule(
        f"{name} {_OBJECT_STORE_ONLY}",
        f"!has(self.{name}) || (has(self.uri) && !self.uri.startsWith('file:'))",
        lambda spec: getattr(spec, attribute) is None or bool(spec.uri and not spec.uri.startswith("file:")),
        at=(name,),
        touches=(name, "uri"),
    )


class CheckpointStoreSpec(Model):
    """Where the store is: exactly one of uri and pvc."""

    uri: str | None = Field(
        default=None,
        pattern=patterns.STORE_URI.regex,
        max_length=1024,
        description=f"Address of the store: {patterns.STORE_URI.meaning}.",
    )
    secret_ref: NameReference | None = Field(
        default=None,
        description="Secret of the same namespace with the object store's credentials, as environment variables.",
    )
    region: str | None = Field(default=None, min_length=1, max_length=63, description="Region of an object store.")
    endpoint: str | None = Field(
        default=None,
        pattern=patterns.ENDPOINT.regex,
        max_length=1024,
        description="Base address of an object store that is not its vendor's own, such as https://minio.example:9000.",
    )
    pvc: PersistentVolume | None = Field(default=None, description="A folder of a PersistentVolumeClaim.")

    rules = (
        exactly_one("uri", "pvc"),
        _object_store_field("secretRef", "secret_ref"),
        _object_store_field("region", "region"),
        _object_store_field("endpoint", "endpoint"),
        *unchangeable_optional("uri", "pvc", why="runs refer to the store by its name"),
    )


class CheckpointStoreStatus(Observed):
    """What was observed of a CheckpointStore."""

    conditions: Conditions = Field(
        default=(),
        description="Ready says whether the store can hold runs; its reason says why not, such as NoExclusiveCreate.",
    )
    uri: str | None = Field(
        default=None, max_length=1024, description="Address of the store as it was found, such as pvc://runs/sojourn."
    )
    store_id: str | None = Field(
        default=None,
        max_length=128,
        description="What is written in the store itself; two stores with the same value are one and the same.",
    )
    access_modes: tuple[Annotated[str, Field(max_length=32)], ...] = Field(
        default=(), strict=False, max_length=8, description="Access modes of the claim, such as ReadWriteMany."
    )
    free_bytes: int | None = Field(
        default=None, ge=0, description="Free room in bytes, where the store has such a number."
    )
    last_probe_time: Time | None = Field(default=None, description="When the store was last tried.")


class CheckpointStore(Model):
    """A place where runs live: a PersistentVolumeClaim, a folder or an object-store prefix."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Group and version of the resource.")
    kind: Literal["CheckpointStore"] = Field(default="CheckpointStore", description="Kind of the resource.")
    metadata: ObjectMeta = Field(description="Name, namespace and labels.")
    spec: CheckpointStoreSpec = Field(description="What is asked for.")
    status: CheckpointStoreStatus | None = Field(
        default=None, description="What was observed; written by the operator."
    )

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name
