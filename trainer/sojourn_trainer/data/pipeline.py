"""From a source and a position to batches of static shape, the same ones whoever asks.

Global batch (epoch e, batch b) holds rows permutation(seed, e)[b * B : (b + 1) * B], and replica r the r-th equal
slice of them. Rows past the end of an epoch are padding with weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from sojourn_trainer.data.position import EpochPlan, Position
from sojourn_trainer.data.source import ArraySource, Source, map_leaves


@dataclass(frozen=True)
class Feed:
    """A source as one worker reads it, for its replicas in turn.

    Attributes:
        source: rows to read.
        plan: batches per epoch and the run's replica count.
        seed: of the permutations; None reads rows in order.
        first_replica: number of this worker's first replica.
        local_replicas: replicas in this worker; element i of a data set is for local replica i % local_replicas.
        prefetch: batches prepared ahead.
    """

    source: Source
    plan: EpochPlan
    seed: int | None
    first_replica: int = 0
    local_replicas: int = 1
    prefetch: int = 2

    def train(self, start: Position) -> tf.data.Dataset:
        """Batches from `start` on, without end. Elements: (arrays, mask): see `_batch`."""
        first = self.plan.flat(start) * self.local_replicas
        return self._batches(tf.data.Dataset.range(first, tf.int64.max))

    def one_epoch(self) -> tf.data.Dataset:
        """Each row once, in order of the source where seed is None."""
        return self._batches(tf.data.Dataset.range(self.plan.batches * self.local_replicas))

    def _batches(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
        fetch = _fetcher(self.source)
        mapped = numbers.map(lambda number: self._batch(number, fetch), num_parallel_calls=1, deterministic=True)
        return mapped.prefetch(self.prefetch)

    def _batch(self, number: tf.Tensor, fetch: Any) -> tuple[Any, tf.Tensor]:
        """One replica's batch.

        Returns:
            (arrays, mask): arrays with first dimension plan.replica_batch; mask float32 of that length, 1 for rows of
            the data and 0 for padding.
        """
        plan = self.plan
        replica = self.first_replica + number % self.local_replicas
        flat = number // self.local_replicas
        epoch, batch = flat // plan.batches, flat % plan.batches
        first = batch * plan.global_batch + replica * plan.replica_batch
        place = first + tf.range(plan.replica_batch, dtype=tf.int64)
        mask = place < plan.samples
        place = tf.where(mask, place, 0)
        rows = place if self.seed is None else permuted(place, self.seed, epoch, plan.samples)
        return fetch(rows), tf.cast(mask, tf.float32)


def permuted(place: tf.Tensor, seed: int, epoch: tf.Tensor, samples: int) -> tf.Tensor:
    """Row numbers at these places of the epoch's permutation; int64, same shape as `place`."""
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
    return tf.random.experimental.index_shuffle(place, key, samples - 1)


def _fetcher(source: Source) -> Any:
    if isinstance(source, ArraySource):
        tensors = map_leaves(tf.constant, source.arrays)
        return lambda rows: map_leaves(lambda tensor: tf.gather(tensor, rows), tensors)
    example = map_leaves(np.asarray, source.fetch(np.zeros(1, dtype=np.int64)))
    flat = tf.nest.flatten(example)

    def fetch_flat(rows: np.ndarray) -> list[np.ndarray]:
        return tf.nest.flatten(map_leaves(np.asarray, source.fetch(rows)))

    def fetch(rows: tf.Tensor) -> Any:
        tensors = tf.numpy_function(fetch_flat, [rows], [leaf.dtype for leaf in flat])
        for tensor, leaf in zip(tensors, flat, strict=True):
            tensor.set_shape([rows.shape[0], *leaf.shape[1:]])
        return tf.nest.pack_sequence_as(example, tensors)

    return fetch
