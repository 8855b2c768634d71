"""How far long work has come: counters, and the stages that it goes through."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sojourn.api.base import Model
from sojourn.api.meta import Time

StagePhase = Literal["Pending", "Running", "Succeeded", "Failed", "Skipped"]


class Progress(Model):
    """How much of something is done."""

    done: int = Field(default=0, ge=0, description="How much is done.")
    total: int | None = Field(default=None, ge=0, description="How much there is, where it is known.")
    unit: str = Field(default="", max_length=32, description="What is counted, such as steps or bytes.")


class Stage(Model):
    """One stage of long work."""

    name: str = Field(examples=["Transfer"], min_length=1, max_length=64, description="Name of the stage.")
    phase: StagePhase = Field(default="Pending", description="How it stands.")
    start_time: Time | None = Field(default=None, description="When it started.")
    completion_time: Time | None = Field(default=None, description="When it ended.")
    progress: Progress | None = Field(default=None, description="How far it is, where that can be counted.")
    reason: str | None = Field(default=None, max_length=128, description="Why, as one CamelCase word.")
    message: str | None = Field(default=None, max_length=4096, description="Why, for people.")


def _by_name(schema: dict[str, Any]) -> None:
    schema.update({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})


Pipeline = Annotated[tuple[Stage, ...], Field(strict=False, max_length=16, json_schema_extra=_by_name)]
