"""Writes this worker's shard of a checkpoint in the background, and tells the coordinator when it is durable.

A store that fails is tried again with growing pauses; then the save is given up and training goes on without it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sojourn.checkpoint.commit import shard_key
from sojourn.checkpoint.manifest import CheckpointMeta
from sojourn.checkpoint.shard import ShardReport, ShardWriter
from sojourn.errors import SojournError
from sojourn.store.base import Store
from sojourn_trainer.checkpointing.snapshot import SavedTensor, SnapshotPool, nonfinite
from sojourn_trainer.workers.assignment import CoordinatorPort, SaveId, ShardSaved

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SaverSettings:
    """How hard a save is tried: pauses between attempts in seconds, and whether weights must be finite."""

    pauses: Sequence[float] = (0.5, 1.0, 2.0, 4.0, 8.0)
    require_finite: bool = True


@dataclass(frozen=True)
class ShardPlace:
    """Where this worker's shards go."""

    store: Store
    run_prefix: str
    rank: int
    workers: int


class Saver:
    """At most one save is under way; `busy` says whether."""

    def __init__(
        self,
        place: ShardPlace,
        pool: SnapshotPool,
        coordinator: CoordinatorPort,
        settings: SaverSettings,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._place = place
        self._pool = pool
        self._coordinator = coordinator
        self._settings = settings
        self._sleep = sleep
        self._thread: threading.Thread | None = None
        self._failure: str | None = None
        self._seconds: float | None = None

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def failure(self) -> str | None:
        """Why the newest save failed; None if it did not, or is still under way."""
        return None if self.busy else self._failure

    @property
    def seconds(self) -> float | None:
        """From the boundary to the end of the newest save, on rank 0 its commit; None until then, or if it failed."""
        return None if self.busy or self._failure is not None else self._seconds

    def save(self, save: SaveId, meta: CheckpointMeta | None, extra: Mapping[str, np.ndarray]) -> None:
        """Copy the state now and write it in the background; waits first for a save that is still under way."""
        self.wait()
        begun = time.monotonic()
        tensors = self._pool.take(extra)
        stall = time.monotonic() - begun
        self._failure = "its thread has ended without a word"
        self._thread = threading.Thread(
            target=self._run, args=(save, meta, tensors, stall), name=f"save-{save.step}", daemon=True
        )
        self._thread.start()

    def wait(self) -> str | None:
        """Wait for the save under way; on rank 0 until it is committed. Returns why it failed, or None."""
        if self._thread is not None:
            self._thread.join()
        return self._failure

    def _run(self, save: SaveId, meta: CheckpointMeta | None, tensors: Sequence[SavedTensor], stall: float) -> None:
        try:
            self._failure = self._save(save, meta, tensors, stall)
        except (SojournError, OSError) as error:
            log.warning("save at step %d failed: %s", save.step, error)
            self._give_up(save, str(error))
        except Exception as error:  # whatever ends this thread: others wait for its word
            log.exception("save at step %d failed", save.step)
            self._give_up(save, f"{type(error).__name__}: {error}")

    def _give_up(self, save: SaveId, why: str) -> None:
        self._failure = why
        self._coordinator.save_failed(save, self._place.rank, why)

    def _save(
        self, save: SaveId, meta: CheckpointMeta | None, tensors: Sequence[SavedTensor], stall: float
    ) -> str | None:
        """Returns why it was not committed, as far as this worker waits for that."""
        begun = time.monotonic()
        bad = nonfinite(tensors) if self._settings.require_finite else ()
        report = self._write(save, tensors)
        shard = ShardSaved(self._place.rank, report.to_json(), time.monotonic() - begun, stall, bad)
        self._coordinator.shard_saved(save, shard, meta)
        failure = self._coordinator.wait_for_commit(save) if self._place.rank == 0 else None
        self._seconds = stall + time.monotonic() - begun
        return failure

    def _write(self, save: SaveId, tensors: Sequence[SavedTensor]) -> ShardReport:
        place = self._place
        key = shard_key(place.run_prefix, save.key, place.rank, place.workers)
        pauses = list(self._settings.pauses)
        while True:
            try:
                with ShardWriter(place.store, key) as shard:
                    for tensor in tensors:
                        shard.add(tensor.name, tensor.dtype, tensor.shape, tensor.data)
                return shard.report
            except (SojournError, OSError) as error:
                if not pauses:
                    raise
                log.warning("writing %s failed, trying again in %.1f s: %s", key, pauses[0], error)
                self._sleep(pauses.pop(0))
