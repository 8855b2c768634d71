"""What workers tell each other at each step, as numbers that are added up on the step's all-reduce.

Every worker acts on the sums of step k at the boundary after it, so all act alike and no other barrier is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Flags:
    """One worker's flags, or the sums over all replicas (then any value above 0 means yes)."""

    checkpoint: float = 0.0
    """A checkpoint is asked for (by time or by a person)."""
    stop: float = 0.0
    """The run is to be suspended after a checkpoint."""
    abort: float = 0.0
    """Another attempt owns the run: end at once."""
    end_training: float = 0.0
    """A callback has set `model.stop_training`."""
    saving: float = 0.0
    """A save is still under way."""

    def vector(self) -> np.ndarray:
        """Float32, shape [FLAG_COUNT]."""
        return np.array(astuple(self), dtype=np.float32)

    @classmethod
    def of(cls, values: Sequence[float]) -> Flags:
        """The flags whose vector has these values."""
        return cls(*values) if any(values) else _NONE


_NONE = Flags()
FLAG_COUNT = 5
