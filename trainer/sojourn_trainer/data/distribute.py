"""Feeds a strategy's replicas from a source, or from a pipeline of the user's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from sojourn.errors import InvalidInput
from sojourn_trainer.data.pipeline import Feed
from sojourn_trainer.data.position import EpochPlan, Position
from sojourn_trainer.data.source import Source, take


class TrainingInput(Protocol):
    """Batches for the training step, from any position on."""

    steps_per_epoch: int
    masked: bool
    same_workers_only: bool
    """Whether a checkpoint can be gone on from only with as many workers as it was made with."""

    def example(self) -> Any:
        """Arrays shaped as one replica gets them."""
        ...

    def start(self, position: Position, saved: dict[str, np.ndarray], skip: int = 0) -> Any:
        """An iterator for the step function whose next batch is the one at `position`.

        Args:
            position: of the next batch.
            saved: what `save` gave at the checkpoint.
            skip: how many batches lie between that checkpoint and `position`.
        """
        ...

    def save(self) -> dict[str, np.ndarray]:
        """What a checkpoint needs besides the position; {} if nothing."""
        ...


class SourceInput:
    """A random-access source: the position alone says what comes next, for any number of workers."""

    same_workers_only = False

    def __init__(
        self, source: Source, plan: EpochPlan, strategy: tf.distribute.Strategy, *, seed: int | None, prefetch: int
    ) -> None:
        self._source = source
        self._plan = plan
        self._strategy = strategy
        self._seed = seed
        self._prefetch = prefetch
        self.steps_per_epoch = plan.batches
        self.masked = plan.padded

    def example(self) -> Any:
        return example(self._source, self._plan.replica_batch)

    def start(self, position: Position, saved: dict[str, np.ndarray], skip: int = 0) -> Any:
        return iter(distribute(self._strategy, lambda feed: feed.train(position), self._feed))

    def save(self) -> dict[str, np.ndarray]:
        return {}

    def _feed(self, first_replica: int, local_replicas: int) -> Feed:
        return Feed(self._source, self._plan, self._seed, first_replica, local_replicas, self._prefetch)


class PipelineInput:
    """A user's own tf.data pipeline: each worker's iterator is saved and restored, for the same worker count only."""

    masked = False
    same_workers_only = True

    def __init__(
        self,
        pipeline: Callable[[tf.distribute.InputContext], tf.data.Dataset],
        strategy: tf.distribute.Strategy,
        *,
        steps_per_epoch: int | None,
        context: tf.distribute.InputContext,
    ) -> None:
        if steps_per_epoch is None:
            raise InvalidInput(
                "a tf.data pipeline of the task's own needs Task.steps_per_epoch",
                hint="Say how many steps count as one epoch; the pipeline itself must not end.",
            )
        if strategy.num_replicas_in_sync != context.num_input_pipelines:
            raise InvalidInput(
                "a tf.data pipeline of the task's own can feed only one device per worker",
                hint="Use a random-access source (sojourn_trainer.Source) with MirroredStrategy or several GPUs.",
            )
        self._dataset = pipeline(context)
        self._prefix = f"input/{context.input_pipeline_id}/"
        self.steps_per_epoch = steps_per_epoch
        self._iterator: Any = None

    def example(self) -> Any:
        return next(iter(self._dataset))

    def start(self, position: Position, saved: dict[str, np.ndarray], skip: int = 0) -> Any:
        self._iterator = iter(self._dataset.map(_unmasked))
        files = {name.removeprefix(self._prefix): data for name, data in saved.items() if name.startswith(self._prefix)}
        if files:
            with tempfile.TemporaryDirectory() as folder:
                for name, data in files.items():
                    (Path(folder) / name).write_bytes(data.tobytes())
                tf.train.Checkpoint(iterator=self._iterator).read(f"{folder}/iterator").assert_consumed()
        for _ in range(skip):
            next(self._iterator)
        return self._iterator

    def save(self) -> dict[str, np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            tf.train.Checkpoint(iterator=self._iterator).write(f"{folder}/iterator")
            return {
                self._prefix + path.name: np.frombuffer(path.read_bytes(), np.uint8)
                for path in sorted(Path(folder).iterdir())
            }


def _unmasked(*arrays: Any) -> Any:
    return (arrays if len(arrays) > 1 else arrays[0]), tf.ones([1])


def distribute(
    strategy: tf.distribute.Strategy, dataset: Callable[[Feed], tf.data.Dataset], feed: Callable[[int, int], Feed]
) -> tf.distribute.DistributedDataset:
    """One data set per worker, whose elements go to its replicas in turn."""

    def build(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = strategy.num_replicas_in_sync // context.num_input_pipelines
        return dataset(feed(context.input_pipeline_id * local, local))

    return strategy.distribute_datasets_from_function(build)


def example(source: Source, rows: int) -> Any:
    """Arrays with first dimension `rows`, shaped and typed as the source's."""
    first = take(source, 1)
    return tf.nest.map_structure(lambda leaf: np.repeat(np.asarray(leaf), rows, axis=0), first)
