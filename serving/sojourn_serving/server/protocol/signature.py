"""A model's signatures, free of TensorFlow, and the names its dtypes have in each protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import ml_dtypes
import numpy as np

from sojourn_serving.server.protocol.errors import RequestError, listing, nearest

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class DType:
    """One element type: TensorFlow's name, NumPy's dtype, the V1 enum name and the V2 datatype."""

    name: str
    numpy: np.dtype[np.generic]
    v1: str
    v2: str

    @property
    def kind(self) -> str:
        """One of "float", "int", "bool", "string", "other": which JSON values can stand for it."""
        if self.v2 in ("FP16", "FP32", "FP64", "BF16"):
            return "float"
        if self.v2.startswith(("INT", "UINT")):
            return "int"
        return {"BOOL": "bool", "BYTES": "string"}.get(self.v2, "other")


_DTYPES = tuple(
    DType(name, np.dtype(numpy), v1, v2)
    for name, numpy, v1, v2 in (
        ("float16", np.float16, "DT_HALF", "FP16"),
        ("float32", np.float32, "DT_FLOAT", "FP32"),
        ("float64", np.float64, "DT_DOUBLE", "FP64"),
        ("bfloat16", ml_dtypes.bfloat16, "DT_BFLOAT16", "BF16"),
        ("int8", np.int8, "DT_INT8", "INT8"),
        ("int16", np.int16, "DT_INT16", "INT16"),
        ("int32", np.int32, "DT_INT32", "INT32"),
        ("int64", np.int64, "DT_INT64", "INT64"),
        ("uint8", np.uint8, "DT_UINT8", "UINT8"),
        ("uint16", np.uint16, "DT_UINT16", "UINT16"),
        ("uint32", np.uint32, "DT_UINT32", "UINT32"),
        ("uint64", np.uint64, "DT_UINT64", "UINT64"),
        ("bool", np.bool_, "DT_BOOL", "BOOL"),
        ("string", np.object_, "DT_STRING", "BYTES"),
    )
)
DTYPES: Mapping[str, DType] = MappingProxyType({dtype.name: dtype for dtype in _DTYPES})


def dtype(name: str) -> DType:
    """The entry for TensorFlow's dtype `name`; types that JSON cannot carry (complex, quantised) are kind "other"."""
    return DTYPES.get(name) or DType(name, np.dtype(np.object_), f"DT_{name.upper()}", name.upper())


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A named input or output. `shape` has None for each size left open, and is None where the rank is open too."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def element(self) -> DType:
        return dtype(self.dtype)

    @property
    def sizes(self) -> list[int]:
        """The shape as both protocols write it, -1 for an open size; [] where the rank is open."""
        return [-1 if size is None else size for size in self.shape or ()]

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` can be this tensor."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            want is None or want == got for want, got in zip(self.shape, shape, strict=True)
        )

    def __str__(self) -> str:
        return f"{self.dtype} of any shape" if self.shape is None else f"{self.dtype} of shape {self.sizes}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One callable of a SavedModel: inputs and outputs sorted by name."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def batched(self) -> bool:
        """Whether axis 0 of every input and output is open, hence may be a batch axis."""
        return bool(self.inputs) and all(
            spec.shape is not None and len(spec.shape) > 0 and spec.shape[0] is None
            for spec in (*self.inputs, *self.outputs)
        )

    def check_names(self, given: Mapping[str, object], where: str) -> None:
        """Raises RequestError unless exactly this signature's inputs are given."""
        names = [spec.name for spec in self.inputs]
        for name in given:
            if name not in names:
                raise RequestError(
                    f"{where}: unknown input {name!r}{nearest(name, names)}; signature {self.name!r} takes"
                    f" {listing(names)}"
                )
        missing = [spec for spec in self.inputs if spec.name not in given]
        if missing:
            wanted = ", ".join(f"{spec.name!r} ({spec})" for spec in missing)
            raise RequestError(f"{where}: missing input {wanted}")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is served: a name, a version (a positive integer) and its signatures by name."""

    name: str
    version: int
    signatures: Mapping[str, Signature]

    def signature(self, name: str = "") -> Signature:
        """The signature called `name`, by default `serving_default` or the only one there is."""
        if not name and DEFAULT_SIGNATURE not in self.signatures and len(self.signatures) == 1:
            return next(iter(self.signatures.values()))
        found = self.signatures.get(name or DEFAULT_SIGNATURE)
        if found is None:
            wanted = name or DEFAULT_SIGNATURE
            raise RequestError(
                f"model {self.name!r} has no signature {wanted!r}{nearest(wanted, self.signatures)}; it has"
                f" {listing(self.signatures)}"
            )
        return found

    def require(self, name: str, version: str | None = None) -> None:
        """Raises RequestError (404) unless `name` and `version` are what is served."""
        if name != self.name:
            raise RequestError(f"model {name!r} is not served here; this server has {self.name!r}", 404)
        if version is not None and version != str(self.version):
            raise RequestError(f"model {name!r} has no version {version!r} here; version {self.version} is served", 404)


@dataclass(frozen=True, slots=True)
class Query:
    """A decoded request: arrays by input name for one signature."""

    signature: Signature
    inputs: Mapping[str, np.ndarray]
