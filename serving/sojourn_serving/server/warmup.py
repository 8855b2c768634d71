"""What a replica does before it is ready: run every batch size, compare golden outputs, find out what may batch.

A server that answers its first request slowly, or wrongly, must not get it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sojourn.errors import CorruptData
from sojourn_serving.server.batcher import Run
from sojourn_serving.server.batching import Arrays, batch_sizes
from sojourn_serving.server.protocol.errors import RequestError
from sojourn_serving.server.protocol.signature import DEFAULT_SIGNATURE, ModelInfo, Signature, TensorSpec

# Another CPU sums in another order; a wrong weight is off by far more.
RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs of the default signature and the outputs recorded for them at export, both by name."""

    inputs: Arrays
    outputs: Arrays


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The signatures whose rows may be mixed, and remarks for the log."""

    batchable: frozenset[str]
    remarks: tuple[str, ...]


def load_golden(path: Path) -> Golden:
    """Read an export's golden.npz: arrays named inputs/<name> and outputs/<name>."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return Golden(_below(arrays, "inputs/"), _below(arrays, "outputs/"))


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    found = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
    return {key: array.astype(object) if array.dtype.kind == "S" else array for key, array in found.items()}


def warm_up(run: Run, info: ModelInfo, golden: Golden | None, max_rows: int) -> WarmUp:
    """Run every signature at every batch size.

    Raises:
        CorruptData: the golden outputs are not reproduced.
    """
    batchable, remarks = set(), []
    for signature in info.signatures.values():
        inputs = made_up(signature, rows=2)
        if golden is not None and signature.name == DEFAULT_SIGNATURE:
            inputs = _as_taken(signature, golden)
            _check(run, signature, inputs, golden)
        try:
            if not signature.batched or max_rows == 1:
                run(signature.name, inputs)
                continue
            reason = _why_not(run, signature, inputs)
            if reason:
                remarks.append(f"signature {signature.name!r} runs requests one by one: {reason}")
                continue
            for size in batch_sizes(max_rows):
                run(signature.name, {name: np.resize(a, (size, *a.shape[1:])) for name, a in inputs.items()})
            batchable.add(signature.name)
        except RequestError as error:
            remarks.append(f"signature {signature.name!r} was not warmed up and runs requests one by one: {error}")
    return WarmUp(frozenset(batchable), tuple(remarks))


def made_up(signature: Signature, rows: int) -> dict[str, np.ndarray]:
    """Inputs of the right shape: floats in [0, 1) that differ by row, zeros (a valid index) and empty strings."""
    generator = np.random.default_rng(0)

    def tensor(spec: TensorSpec) -> np.ndarray:
        shape = tuple(rows if axis == 0 and size is None else size or 1 for axis, size in enumerate(spec.shape or ()))
        if spec.element.kind == "string":
            return np.full(shape, b"", dtype=object)
        if spec.element.kind == "float":
            return generator.random(shape).astype(spec.element.numpy)
        return np.zeros(shape, dtype=spec.element.numpy)

    return {spec.name: tensor(spec) for spec in signature.inputs}


def _why_not(run: Run, signature: Signature, inputs: Arrays) -> str:
    """Why rows of this signature must not be batched, found by running two together and alone; "" where they may."""
    pair = {name: array[:2] for name, array in inputs.items()}
    together = run(signature.name, pair)
    rows = len(next(iter(pair.values())))
    for name, array in together.items():
        if array.shape[:1] != (rows,):
            return f"output {name!r} has shape {list(array.shape)} for {rows} rows"
    for row in range(rows):
        alone = run(signature.name, {name: array[row : row + 1] for name, array in pair.items()})
        if name := different(alone, {key: array[row : row + 1] for key, array in together.items()}):
            return f"output {name!r} of a row depends on the rows beside it"
    return ""


def _as_taken(signature: Signature, golden: Golden) -> dict[str, np.ndarray]:
    """The golden inputs with the signature's dtypes: NumPy's files hold bfloat16 as float32."""
    if missing := [spec.name for spec in signature.inputs if spec.name not in golden.inputs]:
        raise CorruptData(f"the golden file lacks the input {missing[0]!r}", hint="Export the model again.")
    return {spec.name: golden.inputs[spec.name].astype(spec.element.numpy) for spec in signature.inputs}


def _check(run: Run, signature: Signature, inputs: Arrays, golden: Golden) -> None:
    outputs = run(signature.name, inputs)
    if name := different(outputs, golden.outputs):
        raise CorruptData(
            f"output {name!r} for the golden inputs is not what was recorded at export",
            hint="the files were changed, or this TensorFlow computes differently; export again and compare",
        )


def different(got: Arrays, expected: Arrays) -> str:
    """The name of the first output that is missing or off by more than the tolerances; "" where all agree."""
    return next((name for name in _names(got, expected) if not _close(got.get(name), expected.get(name))), "")


def _names(got: Arrays, expected: Arrays) -> Iterable[str]:
    return sorted(got.keys() | expected.keys())


def _close(got: np.ndarray | None, expected: np.ndarray | None) -> bool:
    if got is None or expected is None or got.shape != expected.shape:
        return False
    if object in (got.dtype, expected.dtype):
        return bool(np.array_equal(got, expected))
    left, right = got.astype(np.float64), expected.astype(np.float64)
    return bool(np.allclose(left, right, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True))
