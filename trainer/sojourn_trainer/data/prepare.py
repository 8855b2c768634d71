"""What `spec.data` does to the inputs, as numbers fitted on the training rows: filled, clipped, scaled, in that order.

The same numbers go into exported models, so that they take inputs as the data set has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from sojourn.api.data import Data as DataSpec
from sojourn.api.data import FillMissing, Outliers
from sojourn.errors import InvalidInput
from sojourn_trainer.data.source import Arrays, ArraySource, Source, leaves, map_leaves, subset

_CHUNK_ROWS: Final = 1024


@dataclass(frozen=True)
class Steps:
    """What is done to one input [rows, ...]. Every array has the shape of one row, or is None where nothing is done.

    Attributes:
        fill: takes the place of values that are not finite.
        low: values below it become it.
        high: values above it become it.
        shift: is taken from the values,
        scale: and what remains is divided by it.
    """

    fill: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    shift: np.ndarray | None = None
    scale: np.ndarray | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if x.dtype.kind in "iub" and (self.fill is not None or self.low is not None):
            x = x.astype(np.float32)
        if self.fill is not None:
            x = np.where(np.isfinite(x), x, self.fill.astype(x.dtype))
        if self.low is not None:
            x = np.clip(x, self.low.astype(x.dtype), self.high.astype(x.dtype))  # type: ignore[union-attr]
        if self.shift is not None:
            x = ((x - self.shift) / self.scale).astype(np.float32)
        return x


@dataclass(frozen=True)
class Preparation:
    """Steps for each input, in the structure that the inputs have."""

    steps: Arrays

    def __call__(self, rows: Arrays) -> Arrays:
        """Rows (x, y, ...), or x alone, with x prepared."""
        x = _inputs(rows)
        done = iter([step(np.asarray(leaf)) for step, leaf in zip(leaves(self.steps), leaves(x), strict=True)])
        prepared = map_leaves(lambda _: next(done), x)
        return (prepared, *rows[1:]) if isinstance(rows, tuple) else prepared


@dataclass(frozen=True)
class PreparedSource:
    """Another source's rows, prepared when they are fetched."""

    source: Source
    preparation: Preparation

    def __len__(self) -> int:
        return len(self.source)

    def fetch(self, rows: np.ndarray) -> Arrays:
        return self.preparation(self.source.fetch(rows))


def prepared(source: Source | None, preparation: Preparation | None) -> Any:
    """The source with its inputs prepared; arrays at once, others when they are read."""
    if source is None or preparation is None:
        return source
    if isinstance(source, ArraySource):
        return ArraySource(preparation(source.arrays))
    return PreparedSource(source, preparation)


def fit(train: Source, spec: DataSpec) -> tuple[Preparation | None, Source]:
    """What `spec` asks for, by the statistics of the training rows; and these rows without those that it drops.

    Rows that are not arrays are read through once for each statistic.

    Raises:
        InvalidInput: a statistic needs arrays and the rows are not, or outliers are all there is.
    """
    if spec.fill_missing is None and spec.outliers is None and spec.normalize == "None":
        return None, train
    first = _inputs(train.fetch(np.zeros(1, np.int64)))
    if any(np.asarray(leaf).dtype.kind not in "iubf" for leaf in leaves(first)):
        raise InvalidInput(
            "spec.data: an input is not of numbers, and normalize, fillMissing and outliers need them",
            hint="Leave these fields out, and prepare the inputs in the model.",
        )
    steps = map_leaves(lambda _: Steps(), first)
    if spec.fill_missing is not None:
        steps = _paired(steps, _fills(train, spec.fill_missing), lambda step, fill: replace(step, fill=fill))
    if spec.outliers is not None:
        bounds = list(zip(*_bounds(train, spec.outliers), strict=True))
        if spec.outliers.action == "Drop":
            train = _without_outliers(train, bounds)
        else:
            steps = _paired(steps, bounds, lambda step, ends: replace(step, low=ends[0], high=ends[1]))
    if spec.normalize != "None":
        scales = _scales(prepared(train, Preparation(steps)), spec.normalize)
        steps = _paired(steps, scales, lambda step, both: replace(step, shift=both[0], scale=both[1]))
    return Preparation(steps), train


def _inputs(rows: Arrays) -> Arrays:
    return rows[0] if isinstance(rows, tuple) else rows


def _paired(steps: Arrays, found: list[Any], function: Callable[[Steps, Any], Steps]) -> Arrays:
    done = iter([function(step, item) for step, item in zip(leaves(steps), found, strict=True)])
    return map_leaves(lambda _: next(done), steps)


def _chunks(source: Source) -> Iterator[list[np.ndarray]]:
    """The inputs of all rows, piece by piece."""
    if isinstance(source, ArraySource):
        yield leaves(_inputs(source.arrays))
        return
    for start in range(0, len(source), _CHUNK_ROWS):
        rows = np.arange(start, min(start + _CHUNK_ROWS, len(source)), dtype=np.int64)
        yield leaves(_inputs(source.fetch(rows)))


def _whole(source: Source, field: str) -> list[np.ndarray]:
    if not isinstance(source, ArraySource):
        raise InvalidInput(
            f"spec.data.{field} needs data in memory, and spec.data.source is read piece by piece",
            hint="Use fillMissing.mean or .constant, and outliers.zScore.",
        )
    return [np.asarray(leaf, np.float64) for leaf in leaves(_inputs(source.arrays))]


def _fills(train: Source, spec: FillMissing) -> list[np.ndarray]:
    if spec.constant is not None:
        value = spec.constant.value
        return [np.full(leaf.shape[1:], value) for leaf in next(_chunks(train))]
    if spec.mean is not None:
        means, _ = _moments(train)
        return means
    return [_of_finite(np.nanmedian, leaf) for leaf in _whole(train, "fillMissing.median")]


def _bounds(train: Source, spec: Outliers) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if spec.quantile is not None:
        found = _whole(train, "outliers.quantile")
        lower, upper = spec.quantile.lower, spec.quantile.upper
        return (
            [_of_finite(np.nanquantile, leaf, lower) for leaf in found],
            [_of_finite(np.nanquantile, leaf, upper) for leaf in found],
        )
    assert spec.z_score is not None  # one of both is set, as the model's rule says
    limit = spec.z_score.limit
    means, deviations = _moments(train)
    both = list(zip(means, deviations, strict=True))
    return [mean - limit * deviation for mean, deviation in both], [mean + limit * dev for mean, dev in both]


def _of_finite(statistic: Callable[..., Any], leaf: np.ndarray, *arguments: Any) -> np.ndarray:
    """A statistic of each feature over its finite values; 0 for a feature that has none."""
    finite = np.isfinite(leaf)
    known = finite.any(axis=0)
    values = np.where(finite, leaf, np.nan)
    values[:, ~known] = 0
    return np.asarray(statistic(values, *arguments, axis=0))


def _moments(source: Source) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Mean and standard deviation of each feature over its finite values, float64; 0 and 0 for one that has none.

    Pieces are joined as Chan, Golub and LeVeque do, Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances, 1979.
    """
    totals: list[Any] = []
    for chunk in _chunks(source):
        of_chunk = [_sums(np.asarray(leaf, np.float64)) for leaf in chunk]
        totals = [_joined(*pair) for pair in zip(totals, of_chunk, strict=True)] if totals else of_chunk
    return (
        [mean for _, mean, _ in totals],
        [np.sqrt(squares / np.maximum(count, 1)) for count, _, squares in totals],
    )


_Sums = tuple[np.ndarray, np.ndarray, np.ndarray]


def _sums(leaf: np.ndarray) -> _Sums:
    """Of each feature's finite values: how many, their mean, and the sum of squared distances from it."""
    finite = np.isfinite(leaf)
    count = finite.sum(axis=0)
    mean = np.where(finite, leaf, 0).sum(axis=0) / np.maximum(count, 1)
    return count, mean, (np.where(finite, leaf - mean, 0) ** 2).sum(axis=0)


def _joined(left: _Sums, right: _Sums) -> _Sums:
    (left_count, left_mean, left_squares), (right_count, right_mean, right_squares) = left, right
    count = left_count + right_count
    share = right_count / np.maximum(count, 1)
    apart = right_mean - left_mean
    return count, left_mean + apart * share, left_squares + right_squares + apart**2 * left_count * share


def _without_outliers(train: Source, bounds: list[tuple[np.ndarray, np.ndarray]]) -> Source:
    kept = []
    for chunk in _chunks(train):
        inside = [
            ~((leaf < low) | (leaf > high)).reshape(len(leaf), -1).any(axis=1)
            for leaf, (low, high) in zip(chunk, bounds, strict=True)
        ]
        kept.append(np.logical_and.reduce(inside))
    keep = np.concatenate(kept)
    if not keep.any():
        raise InvalidInput(
            "spec.data.outliers leaves no row to train on", hint="Widen its bounds, or set its action to Clip."
        )
    return train if keep.all() else subset(train, np.flatnonzero(keep))


def _scales(train: Source, kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Shift and scale of each feature. A constant feature is shifted, not divided by zero."""
    if isinstance(train, ArraySource):
        found = leaves(_inputs(train.arrays))
        if kind == "MinMax":
            return [(leaf.min(axis=0), _ones(np.ptp(leaf, axis=0))) for leaf in found]
        wide = [leaf.astype(np.float64) for leaf in found]
        return [(leaf.mean(axis=0), _ones(leaf.std(axis=0))) for leaf in wide]
    if kind == "Standard":
        return [(mean, _ones(deviation)) for mean, deviation in zip(*_moments(train), strict=True)]
    lowest: list[Any] = []
    highest: list[Any] = []
    for chunk in _chunks(train):
        low, high = [leaf.min(axis=0) for leaf in chunk], [leaf.max(axis=0) for leaf in chunk]
        lowest = [np.minimum(*pair) for pair in zip(lowest, low, strict=True)] if lowest else low
        highest = [np.maximum(*pair) for pair in zip(highest, high, strict=True)] if highest else high
    return [(low, _ones(high - low)) for low, high in zip(lowest, highest, strict=True)]


def _ones(spread: np.ndarray) -> np.ndarray:
    return np.where(spread == 0, 1, spread)
