"""Compares two checkpoints variable by variable, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sojourn.checkpoint import CheckpointReader
from sojourn.client.stores import StoreLike, existing_store
from sojourn.runlog.address import resolve
from sojourn.store.base import Store


@dataclass(frozen=True, slots=True)
class Difference:
    """A variable that is not the same in both.

    Args:
        name: its name.
        reason: "values", "shape", "dtype", "only in the first" or "only in the second".
        detail: both shapes or types, or how many elements differ.
        largest: the largest absolute difference of two elements, None where there is no such number.
    """

    name: str
    reason: str
    detail: str = ""
    largest: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome: `first` and `second` name the checkpoints, `equal` counts variables with the same bits."""

    first: str
    second: str
    equal: int
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Whether every variable of both has the same bits."""
        return not self.differences


def compare(
    first: str,
    second: str,
    *,
    store: StoreLike | None = None,
    other_store: StoreLike | None = None,
    prefix: str = "",
) -> Comparison:
    """Compare the variables of two checkpoints.

    Args:
        first: address of a checkpoint, such as "digits@1200".
        second: address of the other.
        store: the store of the first.
        other_store: the store of the second, by default the same.
        prefix: compare only variables whose name starts so, such as "model/".

    Raises:
        NotFound: there is no such checkpoint.
        CorruptData: stored bytes do not match their digests.
    """
    near = existing_store(store)
    far = near if other_store is None else existing_store(other_store)
    (left, left_name), (right, right_name) = _open(near, first), _open(far, second)
    names = sorted(name for name in {*left.names(), *right.names()} if name.startswith(prefix))
    differences = tuple(_differences(left, right, names))
    return Comparison(left_name, right_name, len(names) - len(differences), differences)


def _open(store: Store, address: str) -> tuple[CheckpointReader, str]:
    log, commit = resolve(store, address)
    return CheckpointReader(store, log.prefix, commit), f"{store.uri}/{commit.location(log.prefix)}"


def _differences(left: CheckpointReader, right: CheckpointReader, names: list[str]) -> Iterator[Difference]:
    for name in names:
        if name not in right:
            yield Difference(name, "only in the first")
            continue
        if name not in left:
            yield Difference(name, "only in the second")
            continue
        a, b = left.entry(name), right.entry(name)
        if a.shape != b.shape:
            yield Difference(name, "shape", f"{list(a.shape)} and {list(b.shape)}")
        elif a.dtype != b.dtype:
            yield Difference(name, "dtype", f"{a.dtype} and {b.dtype}")
        else:
            found = difference(left.tensor(name), right.tensor(name))
            if found is not None:
                yield Difference(name, "values", *found)


def difference(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[str, float | None] | None:
    """How many elements differ in their bits, and the largest absolute difference; None where all bits are equal.

    Both arrays have the same shape and dtype. A NaN equals a NaN with the same bits, and 0.0 differs from -0.0.
    """
    if a.tobytes() == b.tobytes():
        return None
    bits_a, bits_b = (x.reshape(-1).view(np.uint8).reshape(x.size, x.dtype.itemsize) for x in (a, b))
    count = int(np.count_nonzero((bits_a != bits_b).any(axis=1)))
    largest = None
    if a.dtype != np.bool_:
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
        largest = float(np.nanmax(apart)) if not np.isnan(apart).all() else None
    return f"{count:,} of {a.size:,} elements", largest
