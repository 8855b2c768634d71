"""Copies the state at a step boundary, so that training goes on while the copy is written.

The copy goes into buffers that are made once and kept: fresh memory would cost more than the copy itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from blake3 import blake3

from sojourn_trainer.state.layout import Slot
from sojourn_trainer.state.variables import StateVariable


@dataclass(frozen=True)
class SavedTensor:
    """One tensor of a snapshot: stored name, TensorFlow's dtype name, shape, and its bytes (uint8, flat)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray
    weight: bool


class SnapshotPool:
    """Buffers for this worker's part of the state. One snapshot lives in it at a time."""

    def __init__(self, state: Sequence[StateVariable], slots: Sequence[Slot]) -> None:
        self._state = state
        self._slots = slots
        self._buffers = [np.empty(state[slot.index].nbytes, np.uint8) for slot in slots]
        # The system finds a page for memory when it is first written to, which takes longer than the copy itself.
        self._touch = threading.Thread(target=self._touch_all, name="snapshot-pool", daemon=True)
        self._touch.start()

    @property
    def nbytes(self) -> int:
        return sum(buffer.nbytes for buffer in self._buffers)

    def take(self, extra: Mapping[str, np.ndarray]) -> list[SavedTensor]:
        """Copy all slots now; `extra` arrays are copied too. Called on the training thread."""
        self._touch.join()
        tensors = []
        for slot, buffer in zip(self._slots, self._buffers, strict=True):
            variable = self._state[slot.index]
            value = variable.components[slot.local_replica].read_value()
            np.copyto(buffer, as_bytes(value))
            tensors.append(
                SavedTensor(
                    slot.stored_name, variable.dtype.name, tuple(value.shape.as_list()), buffer, variable.weight
                )
            )
        for name, array in extra.items():
            data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
            tensors.append(SavedTensor(name, array.dtype.name, array.shape, data, False))
        return tensors

    def _touch_all(self) -> None:
        for buffer in self._buffers:
            buffer.fill(0)

    def digest(self, prefix: str) -> str:
        """Of the values that the slots whose names start with `prefix` have now."""
        hasher = blake3()
        for slot in self._slots:
            variable = self._state[slot.index]
            if variable.name.startswith(prefix):
                hasher.update(as_bytes(variable.components[slot.local_replica].read_value()).data)
        return hasher.hexdigest()


def as_bytes(value: tf.Tensor) -> np.ndarray:
    """The tensor's elements as flat uint8, without a copy where the tensor is in host memory."""
    if value.dtype in _OPAQUE:
        value = tf.bitcast(value, _OPAQUE[value.dtype])
    return np.atleast_1d(np.asarray(memoryview(value))).reshape(-1).view(np.uint8)


# These types have no buffer protocol; their bits travel as an integer of the same width.
_OPAQUE = {
    tf.bfloat16: tf.uint16,
    tf.dtypes.experimental.float8_e4m3fn: tf.uint8,
    tf.dtypes.experimental.float8_e5m2: tf.uint8,
}


def nonfinite(tensors: Sequence[SavedTensor]) -> tuple[str, ...]:
    """Names of the model's weights that hold NaN or infinity."""
    bad = []
    for tensor in tensors:
        if tensor.weight and tensor.dtype in ("float16", "float32", "float64"):
            values = tensor.data.view(np.dtype(tensor.dtype))
            if not np.isfinite(values).all():
                bad.append(tensor.name)
    return tuple(bad)
