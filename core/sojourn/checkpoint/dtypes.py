"""The element types a checkpoint can hold: TensorFlow's name, its enum number, NumPy's type.

Numbers: tensorflow/core/framework/types.proto.
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt

from sojourn.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class ElementType:
    """One element type. `numpy` has the width in bytes that a bundle stores (4-bit types take a byte each)."""

    name: str
    number: int
    numpy: np.dtype[np.generic]


def _known() -> tuple[ElementType, ...]:
    table: list[tuple[str, int, npt.DTypeLike]] = [
        ("float32", 1, np.float32),
        ("float64", 2, np.float64),
        ("int32", 3, np.int32),
        ("uint8", 4, np.uint8),
        ("int16", 5, np.int16),
        ("int8", 6, np.int8),
        ("complex64", 8, np.complex64),
        ("int64", 9, np.int64),
        ("bool", 10, np.bool_),
        ("bfloat16", 14, ml_dtypes.bfloat16),
        ("uint16", 17, np.uint16),
        ("complex128", 18, np.complex128),
        ("float16", 19, np.float16),
        ("uint32", 22, np.uint32),
        ("uint64", 23, np.uint64),
        ("float8_e5m2", 24, ml_dtypes.float8_e5m2),
        ("float8_e4m3fn", 25, ml_dtypes.float8_e4m3fn),
        ("float8_e4m3fnuz", 26, ml_dtypes.float8_e4m3fnuz),
        ("float8_e4m3b11fnuz", 27, ml_dtypes.float8_e4m3b11fnuz),
        ("float8_e5m2fnuz", 28, ml_dtypes.float8_e5m2fnuz),
        ("int4", 29, ml_dtypes.int4),
        ("uint4", 30, ml_dtypes.uint4),
    ]
    return tuple(ElementType(name, number, np.dtype(kind)) for name, number, kind in table)


ELEMENT_TYPES = _known()
_BY_NAME = {kind.name: kind for kind in ELEMENT_TYPES}
_BY_NUMBER = {kind.number: kind for kind in ELEMENT_TYPES}


def by_name(name: str) -> ElementType:
    """Raises InvalidInput for a type that a checkpoint of ours cannot hold (strings, resources, variants)."""
    kind = _BY_NAME.get(name)
    if kind is None:
        raise InvalidInput(
            f"element type {name!r} cannot be stored in a checkpoint",
            hint="Numeric and boolean tensors can: " + ", ".join(_BY_NAME) + ".",
        )
    return kind


def name_of(number: int) -> str:
    """The type's name, or "dtype <number>" for one that is listed in an index but cannot be read."""
    kind = _BY_NUMBER.get(number)
    return kind.name if kind else f"dtype {number}"
