"""What the driver tells the controller of its workers, once it is known which run they train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_trainer.driver.prepare import PreparedRun


@dataclass(frozen=True)
class LaunchPlan:
    """A run, and how it is trained.

    Attributes:
        prepared: the run, and where its job lies.
        job: the manifest of the TrainingJob.
        tensorboard: folder for TensorBoard's files, None where nobody could read them.
    """

    prepared: PreparedRun
    job: Mapping[str, Any]
    tensorboard: str | None = None
