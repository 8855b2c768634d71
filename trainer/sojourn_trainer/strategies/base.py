"""What the trainer needs to know of a distribution strategy. One file per strategy; none imports TensorFlow at import.

Processes that only launch workers (Ray's controller, the driver) read `environment` and never start TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Place:
    """Where one worker process stands in its group.

    Attributes:
        addresses: "host:port" of every worker, by rank, free for TensorFlow's servers.
        rank: this worker's index.
        devices: logical devices wanted on this machine, or None for what is there.
    """

    addresses: tuple[str, ...]
    rank: int
    devices: int | None = None


class WorkerStrategy(Protocol):
    """How worker processes become one `tf.distribute.Strategy`."""

    def environment(self, place: Place) -> Mapping[str, str]:
        """Environment variables that must be set before TensorFlow is imported."""
        ...

    def create(self, place: Place) -> tf.distribute.Strategy:
        """Build the strategy; called once per process, before any other use of TensorFlow's devices."""
        ...
