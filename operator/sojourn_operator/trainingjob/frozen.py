"""The spec of a job as one attempt runs it, and which changes of the job make another attempt (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sojourn.api import TrainingJobSpec

_NOT_OF_ATTEMPTS = (
    "suspend",
    "standby",
    "managedBy",
    "backoffLimit",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "startupDeadlineSeconds",
)


@dataclass(frozen=True, slots=True)
class ImageDefaults:
    """The image of jobs that name none, and how it is pulled."""

    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


def freeze(spec: TrainingJobSpec, defaults: ImageDefaults) -> dict[str, Any]:
    """The spec as plain data, every default filled in, the image included: an attempt never changes its pods."""
    frozen = spec.to_manifest()
    if spec.image is None:
        frozen["image"] = defaults.image
        frozen.setdefault("imagePullPolicy", defaults.pull_policy)
        named = [reference.name for reference in spec.pod_template.image_pull_secrets]
        secrets = dict.fromkeys([*named, *defaults.pull_secrets])
        frozen["podTemplate"]["imagePullSecrets"] = [{"name": name} for name in secrets]
    return frozen


def differs(spec: TrainingJobSpec, frozen: Mapping[str, Any]) -> bool:
    """Whether the job asks for something else than an attempt with this frozen spec does.

    A job that names no image takes any: the operator's own may have changed since.
    """
    try:
        # Through the model, so that a default which a newer CRD brings is no difference.
        before = TrainingJobSpec.from_manifest(frozen).to_manifest()
    except ValidationError:
        return False  # made by another version of the operator: not this one's to judge
    own_image = spec.image is not None
    return _essence(spec.to_manifest(), own_image) != _essence(before, own_image)


def _essence(spec: dict[str, Any], own_image: bool) -> dict[str, Any]:
    kept = {name: value for name, value in spec.items() if name not in _NOT_OF_ATTEMPTS}
    kept["checkpoint"] = {name: value for name, value in kept["checkpoint"].items() if name != "request"}
    if not own_image:
        kept.pop("image", None)
        kept.pop("imagePullPolicy", None)
        kept["podTemplate"] = {k: v for k, v in kept["podTemplate"].items() if k != "imagePullSecrets"}
    return kept
