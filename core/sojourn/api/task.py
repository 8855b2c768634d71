"""What is trained: the function that builds the model, and the code it comes from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import (
    DEFINES_RUN,
    JsonObject,
    Model,
    Rule,
    Union,
    exactly_one,
    unchangeable,
    unchangeable_optional,
)
from sojourn.api.meta import NameReference

Entrypoint = Annotated[str, Field(pattern=patterns.ENTRYPOINT.regex, max_length=253)]
Path = Annotated[str, Field(min_length=1, max_length=1024)]
Name = Annotated[str, Field(min_length=1, max_length=253)]


class ImageCode(Model):
    """The code is part of the container image, or installed where `sojourn run` runs."""


class ArchiveCode(Model):
    """The code is a tar archive, identified by its content."""

    digest: str = Field(
        examples=["blake3:" + 64 * "0"],
        pattern=patterns.DIGEST.regex,
        max_length=71,
        description="Digest of the archive; checked before it is unpacked.",
    )
    uri: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Where to fetch the archive. Without it the run's own folder in the store must hold it.",
    )


class DirectoryCode(Model):
    """The code is a folder of this machine; `sojourn run` packs it and keeps the archive with the run."""

    path: Path = Field(examples=["."], description="The folder, relative to the manifest's own.")


class Code(Union):
    """Where the task's Python code comes from: exactly one of the fields."""

    image: ImageCode | None = Field(
        default=None, description="The container image, or the environment `sojourn run` runs in."
    )
    config_map: NameReference | None = Field(
        default=None, description="A ConfigMap of the job's namespace whose keys are file names of Python modules."
    )
    archive: ArchiveCode | None = Field(default=None, description="A tar archive.")
    directory: DirectoryCode | None = Field(
        default=None, description="A folder of this machine; for `sojourn run` only, a cluster cannot see it."
    )

    rules = (
        exactly_one("image", "configMap", "archive", "directory"),
        Rule(
            "directory is for `sojourn run` on one machine; a cluster needs image, configMap or archive",
            "!has(self.directory)",
            at=("directory",),
        ),
    )


class Task(Model):
    """The function that builds what is trained, and its arguments."""

    entrypoint: Entrypoint = Field(
        examples=["sojourn_trainer.tasks.mlp:build"],
        description="module:function. It returns a compiled Keras model, a model and its data, or a custom training "
        "step; or it calls `sojourn_trainer.fit` itself.",
    )
    args: JsonObject = Field(default={}, description="Keyword arguments of the function.")
    code: Code | None = Field(
        default=None, description="Where the module is found. Without it: in the image, or installed on this machine."
    )

    rules = (
        *unchangeable("entrypoint", why=DEFINES_RUN),
        *unchangeable_optional("args", why=DEFINES_RUN),
    )
