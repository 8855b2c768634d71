"""Where a run stands in its data, as pure arithmetic.

The position is global: (epoch, batch) counts whole batches over all workers, so it means the same after a change of
the worker count. The order of an epoch is a seeded permutation that anybody can compute from (seed, epoch).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sojourn.checkpoint.manifest import Position

__all__ = ["EpochPlan", "Position"]


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """How `samples` rows become batches of `global_batch` rows, each cut into `replicas` equal slices.

    Attributes:
        samples: rows in one epoch, > 0.
        global_batch: rows in one step over all replicas; a multiple of `replicas`.
        replicas: model replicas over all workers.
    """

    samples: int
    global_batch: int
    replicas: int = 1

    def __post_init__(self) -> None:
        if self.samples <= 0:
            raise ValueError("the data source has no rows")
        if self.global_batch <= 0 or self.global_batch % self.replicas:
            raise ValueError(f"global batch {self.global_batch} cannot be split evenly over {self.replicas} replicas")

    @property
    def batches(self) -> int:
        """Batches per epoch; the last may be partly padding."""
        return -(-self.samples // self.global_batch)

    @property
    def padded(self) -> bool:
        """Whether the last batch of an epoch holds rows that count for nothing."""
        return self.samples % self.global_batch != 0

    @property
    def replica_batch(self) -> int:
        """Rows that one replica reads per step."""
        return self.global_batch // self.replicas

    def normalised(self, position: Position) -> Position:
        """The same place with `batch` below `batches`."""
        if position.batch >= self.batches:
            return Position(position.epoch + 1, 0)
        return position

    def after(self, position: Position) -> Position:
        """The place one batch further on."""
        return self.normalised(replace(position, batch=position.batch + 1))

    def flat(self, position: Position) -> int:
        """Index of the batch counted from the first batch of epoch 0."""
        return position.epoch * self.batches + position.batch
