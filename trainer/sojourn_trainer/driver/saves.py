"""Gathers the shards of a save until all workers have theirs durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sojourn.checkpoint.manifest import CheckpointMeta
from sojourn.checkpoint.shard import ShardReport
from sojourn_trainer.workers.assignment import SaveId, ShardSaved


@dataclass
class PendingSave:
    """One save under way.

    Attributes:
        workers: how many shards it has.
        begun: monotonic seconds at the boundary where it began, as the first of its workers saw it.
        resolved: committed or failed.
        failure: why it failed, or None.
    """

    save: SaveId
    workers: int
    begun: float
    meta: CheckpointMeta | None = None
    shards: dict[int, ShardSaved] = field(default_factory=dict)
    resolved: bool = False
    failure: str | None = None

    def add(self, shard: ShardSaved, meta: CheckpointMeta | None) -> bool:
        """Take a shard; True when it was the last one and the save is not given up."""
        self.shards[shard.rank] = shard
        self.meta = meta or self.meta
        return len(self.shards) == self.workers and self.meta is not None and not self.resolved

    def reports(self) -> list[ShardReport]:
        return [ShardReport.from_json(dict(shard.report)) for shard in self.shards.values()]

    @property
    def nonfinite(self) -> list[str]:
        """Weights that hold NaN or infinity, over all shards."""
        return sorted({name for shard in self.shards.values() for name in shard.nonfinite})

    @property
    def stall_seconds(self) -> float:
        """The longest that a worker's training stood still for it."""
        return max((shard.stall_seconds for shard in self.shards.values()), default=0.0)


def finite_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics as a commit records them: plain floats."""
    return {name: float(value) for name, value in metrics.items()}
