"""Where a run stands at a step boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sojourn.checkpoint.manifest import Position


@dataclass(frozen=True, slots=True)
class RunPosition:
    """The state of a run between two steps, apart from its variables.

    Attributes:
        step: optimizer steps taken.
        samples: rows consumed by them, padding included.
        position: the next batch.
        metrics: of the last complete epoch.
        ended: a callback ended the training before the last step.
    """

    step: int = 0
    samples: int = 0
    position: Position = field(default_factory=Position)
    metrics: Mapping[str, float] = field(default_factory=dict)
    ended: bool = False

    def after_step(self, steps_per_epoch: int, global_batch: int) -> RunPosition:
        """One step and one batch further on."""
        epoch, batch = self.position.epoch, self.position.batch + 1
        position = Position(epoch + 1, 0) if batch >= steps_per_epoch else Position(epoch, batch)
        return RunPosition(self.step + 1, self.samples + global_batch, position, self.metrics, self.ended)

    def with_metrics(self, metrics: Mapping[str, float]) -> RunPosition:
        return replace(self, metrics=dict(metrics))

    def with_end(self, ended: bool) -> RunPosition:
        return self if ended == self.ended else replace(self, ended=ended)

    def with_position(self, position: Position) -> RunPosition:
        return replace(self, position=position)

    def ends_epoch_of(self, saved: Position) -> bool:
        """Whether this is the end of an epoch, and a state that was saved at position `saved` has batches of it."""
        return self.position.batch == 0 and saved.batch > 0 and saved.epoch == self.position.epoch - 1
