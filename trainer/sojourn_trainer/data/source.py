"""Random-access sources: what the exact data position needs from a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from sojourn_trainer.data.prepare import Preparation

Arrays = Any
"""An array, or a tuple, list or dict of arrays, all with the same first dimension."""


@runtime_checkable
class Source(Protocol):
    """Rows that can be fetched by number, in any order, any number of times."""

    def __len__(self) -> int: ...

    def fetch(self, rows: np.ndarray) -> Arrays:
        """The rows with these numbers (int64, shape [n]) as arrays whose first dimension is n."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """A data set held in memory.

    Attributes:
        arrays: (x, y) or (x, y, sample_weight); x and y may be nested in tuples or dicts. All share dimension 0.
    """

    arrays: Arrays

    def __post_init__(self) -> None:
        lengths = {len(leaf) for leaf in leaves(self.arrays)}
        if len(lengths) != 1:
            raise ValueError(f"all arrays of a data source need the same number of rows, found {sorted(lengths)}")

    def __len__(self) -> int:
        return len(leaves(self.arrays)[0])

    def fetch(self, rows: np.ndarray) -> Arrays:
        return map_leaves(lambda leaf: leaf[rows], self.arrays)


@dataclass(frozen=True)
class FunctionSource:
    """Rows from a user's function, for data that does not fit into memory.

    Attributes:
        length: number of rows.
        function: takes row numbers (int64, shape [n]) and returns arrays with first dimension n, always of the same
            structure, dtypes and trailing shapes. It is called from several threads.
    """

    length: int
    function: Callable[[np.ndarray], Arrays]

    def __len__(self) -> int:
        return self.length

    def fetch(self, rows: np.ndarray) -> Arrays:
        return self.function(rows)


@dataclass(frozen=True)
class Subset:
    """Some rows of another source, by number."""

    source: Source
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, rows: np.ndarray) -> Arrays:
        return self.source.fetch(self.rows[rows])


@dataclass(frozen=True)
class Data:
    """What a job trains on and, optionally, what it is validated on after each epoch and tested on at the end.

    Attributes:
        preparation: what has been done to the inputs of all of these, for exported models to do it too.
        unprepared: a few rows as they were before that.
    """

    train: Source
    validation: Source | None = None
    test: Source | None = None
    shuffle: bool = True
    prefetch: int = 2
    preparation: Preparation | None = None
    unprepared: Source | None = None


def leaves(arrays: Arrays) -> list[Any]:
    """The arrays of a nested structure, in order."""
    if isinstance(arrays, dict):
        return [leaf for key in arrays for leaf in leaves(arrays[key])]
    if isinstance(arrays, (tuple, list)):
        return [leaf for item in arrays for leaf in leaves(item)]
    return [arrays]


def map_leaves(function: Callable[[Any], Any], arrays: Arrays) -> Arrays:
    """The same structure with every array replaced by `function(array)`."""
    if isinstance(arrays, dict):
        return {key: map_leaves(function, value) for key, value in arrays.items()}
    if isinstance(arrays, (tuple, list)):
        return tuple(map_leaves(function, item) for item in arrays)
    return function(arrays)


def take(source: Source, count: int) -> Arrays:
    """The first `count` rows (fewer if the source is shorter)."""
    return source.fetch(np.arange(min(count, len(source)), dtype=np.int64))


def split(source: Source, fractions: Sequence[float], seed: int) -> list[Source]:
    """Disjoint random parts of a source, then the rest: `len(fractions) + 1` sources.

    Args:
        source: what to divide.
        fractions: share of the rows for each part, in (0, 1), summing to less than 1.
        seed: the same seed always gives the same parts.
    """
    order = np.random.default_rng(seed).permutation(len(source))
    parts: list[Source] = []
    start = 0
    for fraction in fractions:
        stop = start + round(fraction * len(source))
        parts.append(subset(source, np.sort(order[start:stop])))
        start = stop
    parts.append(subset(source, np.sort(order[start:])))
    return parts


def subset(source: Source, rows: np.ndarray) -> Source:
    """Some rows of a source, by number."""
    if isinstance(source, ArraySource):
        return ArraySource(source.fetch(rows))
    return Subset(source, rows)
