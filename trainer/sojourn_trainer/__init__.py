"""Trains TensorFlow models as a TrainingJob says. A task imports `Task`, `fit`, `Data` and the sources from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sojourn_trainer.data.source import ArraySource, Data, FunctionSource, Source
from sojourn_trainer.task import Task

if TYPE_CHECKING:
    from sojourn_trainer.loop.fit import fit

__all__ = ["ArraySource", "Data", "FunctionSource", "Source", "Task", "fit"]


def __getattr__(name: str) -> Any:
    """`fit` is imported when it is first used, because it starts TensorFlow."""
    if name == "fit":
        from sojourn_trainer.loop.fit import fit

        return fit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
