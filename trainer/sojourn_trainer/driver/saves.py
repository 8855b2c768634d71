"""Gathers the shards of a save until all workers have theirs durable, for the saves of the present attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sojourn.checkpoint.manifest import CheckpointMeta
from sojourn.checkpoint.shard import ShardReport
from sojourn_trainer.workers.assignment import SaveId, ShardSaved

# A worker has one save under way at a time, and begins the next with all others: nobody asks for one so old.
_REMEMBERED = 16


@dataclass(frozen=True)
class WholeSave:
    """What all workers together have made durable, and what rank 0 says of it."""

    meta: CheckpointMeta
    shards: tuple[ShardSaved, ...]

    def reports(self) -> list[ShardReport]:
        return [ShardReport.from_json(dict(shard.report)) for shard in self.shards]

    @property
    def nonfinite(self) -> list[str]:
        """Weights that hold NaN or infinity, over all shards."""
        return sorted({name for shard in self.shards for name in shard.nonfinite})

    @property
    def stall_seconds(self) -> float:
        """The longest that a worker's training stood still for it."""
        return max(shard.stall_seconds for shard in self.shards)


@dataclass
class PendingSave:
    """One save under way.

    Attributes:
        attempt_id: of the attempt whose save it is.
        workers: how many shards it has.
        begun: monotonic seconds at the boundary where it began, as the first of its workers saw it.
        resolved: committed or failed; nothing more is done for it.
        failure: why it failed, or None.
    """

    save: SaveId
    attempt_id: str
    workers: int
    begun: float
    meta: CheckpointMeta | None = None
    shards: dict[int, ShardSaved] = field(default_factory=dict)
    resolved: bool = False
    failure: str | None = None

    def add(self, shard: ShardSaved, meta: CheckpointMeta | None) -> WholeSave | None:
        """Take a shard; what there is to commit when it was the last one and the save is not given up."""
        if self.resolved:
            return None
        self.shards[shard.rank] = shard
        self.meta = meta or self.meta
        if self.meta is None or len(self.shards) < self.workers:
            return None
        return WholeSave(self.meta, tuple(self.shards.values()))


class Saves:
    """The saves of the present attempt: those under way, and what became of the newest others. Not thread-safe.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._term = 0
        self._attempt_id = ""
        self._workers = 0
        self._saves: dict[str, PendingSave] = {}

    def begin(self, term: int, attempt_id: str, workers: int) -> None:
        """From now on another attempt saves, or with term 0 none: what was under way is given up."""
        for pending in self._saves.values():
            self._end(pending, _OUTDATED)
        self._saves.clear()
        self._term, self._attempt_id, self._workers = term, attempt_id, workers

    def find(self, save: SaveId) -> PendingSave:
        """The save as it stands; one of another attempt, whose workers are gone or end now, counts as given up."""
        if save.term != self._term:
            return PendingSave(save, "", 0, self._now(), resolved=True, failure=_OUTDATED)
        if save.key not in self._saves:
            self._saves[save.key] = PendingSave(save, self._attempt_id, self._workers, self._now())
        return self._saves[save.key]

    def resolve(self, pending: PendingSave, failure: str | None) -> bool:
        """Note what became of a save; False if that was known, or the save is of another attempt."""
        if pending.resolved:
            return False
        self._end(pending, failure)
        done = [key for key, known in self._saves.items() if known.resolved]
        for key in done[:-_REMEMBERED]:
            del self._saves[key]
        return True

    @property
    def under_way(self) -> bool:
        """Whether one is neither committed nor given up."""
        return any(not pending.resolved for pending in self._saves.values())

    def __len__(self) -> int:
        return len(self._saves)

    @staticmethod
    def _end(pending: PendingSave, failure: str | None) -> None:
        if not pending.resolved:
            pending.resolved, pending.failure = True, failure
        pending.shards, pending.meta = {}, None  # as large as the model has variables


_OUTDATED = "the attempt ended"
