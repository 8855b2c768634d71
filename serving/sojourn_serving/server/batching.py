"""Which waiting requests make the next batch, and what sizes batches have. Pure; batcher.py does the work.

There is no timer: a batch is what came in while the model was busy with the one before it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sojourn_serving.server.protocol.signature import Query

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Load:
    """A request as planning sees it: only equal `key`s may share a batch, and None shares with nobody."""

    key: Hashable
    rows: int


def load_of(query: Query, *, batchable: bool) -> Load:
    """The query's rows, and a key made of its signature and the shape of a row of every input."""
    arrays = query.inputs
    rows = {array.shape[:1] for array in arrays.values()}
    if not batchable or len(rows) != 1 or not (count := rows.pop()[0]):
        return Load(None, 1)
    return Load((query.signature.name, *((name, array.shape[1:]) for name, array in sorted(arrays.items()))), count)


def next_batch(waiting: Sequence[Load], max_rows: int) -> list[int]:
    """Indices of the requests to run next: the oldest, and those behind it that share its key and still fit.

    Others keep their places, and the oldest always goes, so nobody waits for ever.
    """
    first = waiting[0]
    chosen, rows = [0], first.rows
    if first.key is None:
        return chosen
    for index in range(1, len(waiting)):
        if rows >= max_rows:
            break
        if waiting[index].key == first.key:
            if rows + waiting[index].rows > max_rows:
                break
            chosen.append(index)
            rows += waiting[index].rows
    return chosen


def batch_sizes(max_rows: int) -> tuple[int, ...]:
    """The sizes that batches are padded to: 1, 2, 3, 4, 6, 8, 12, ... `max_rows`; at most a third is padding.

    Few sizes mean few shapes for XLA and oneDNN to compile kernels for.
    """
    sizes = {1, max_rows}
    power = 2
    while power < max_rows:
        sizes |= {power, min(power * 3 // 2, max_rows)}
        power *= 2
    return tuple(sorted(sizes))


def chunks(rows: int, max_rows: int) -> list[tuple[int, int]]:
    """[start, stop) of the pieces in which a batch of `rows` runs."""
    return [(start, min(start + max_rows, rows)) for start in range(0, rows, max_rows)]


def padded(arrays: Arrays, sizes: Sequence[int]) -> dict[str, np.ndarray]:
    """The arrays with axis 0 grown to the next of `sizes` by repeating the last row, a valid value for any model."""
    rows = len(next(iter(arrays.values())))
    size = next(size for size in sizes if size >= rows)
    if size == rows:
        return dict(arrays)
    return {name: np.concatenate([a, np.repeat(a[-1:], size - rows, axis=0)]) for name, a in arrays.items()}


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Several requests' inputs, one after the other along axis 0."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def split(outputs: Arrays, counts: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """Each request's rows of the batch's outputs."""
    stops = np.cumsum(counts)
    return [
        {name: array[stop - count : stop] for name, array in outputs.items()}
        for count, stop in zip(counts, stops, strict=True)
    ]
