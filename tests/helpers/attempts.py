"""TrainingAttempts as the API server holds them, for tests of what is made of them."""

from __future__ import annotations

from typing import Any, Final

from helpers.manifests import ATTEMPT, JOB, changed
from sojourn.api import TrainingJobSpec
from sojourn_operator.trainingjob.frozen import ImageDefaults, freeze

DEFAULTS: Final = ImageDefaults("registry.example/sojourn-trainer:1", "IfNotPresent", ("pull",))
UID: Final = "6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b12"


def attempt(changes: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """An attempt of a small job with changes at dotted paths."""
    job = TrainingJobSpec.from_manifest(changed(JOB, changes or {})["spec"])
    metadata = {"name": "digits-1", "namespace": "team", "uid": UID, "labels": {"sojourn.dev/job": "digits"}}
    return {
        **ATTEMPT,
        "metadata": metadata,
        "spec": {**ATTEMPT["spec"], "engine": "Job", "job": freeze(job, DEFAULTS), **spec},
    }
