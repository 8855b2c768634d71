"""Writes one data file of a checkpoint: tensors go to the store as they come and are digested on the way.

Each byte is read once while it is in the processor's cache: checksum, both digests, write. Small tensors
are gathered first, because thousands of calls per save would cost more than their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import prod
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from sojourn.checkpoint import crc, dtypes
from sojourn.checkpoint.bundle import TensorEntry, parse_data_file
from sojourn.checkpoint.digest import ChunkDigests
from sojourn.checkpoint.records import FileRecord, tensor_from_json, tensor_to_json
from sojourn.errors import InvalidInput
from sojourn.store.base import Buffer, Store, Writer

_PIECE_BYTES = 1024 * 1024
_SMALL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What one worker wrote: its file's number among `shards`, the file, the tensors in it."""

    shard: int
    shards: int
    file: FileRecord
    tensors: tuple[TensorEntry, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for a message to another process."""
        return {
            "shard": self.shard,
            "shards": self.shards,
            "file": self.file.to_json(),
            "tensors": [tensor_to_json(tensor) for tensor in self.tensors],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ShardReport:
        return cls(
            shard=value["shard"],
            shards=value["shards"],
            file=FileRecord.from_json(value["file"]),
            tensors=tuple(tensor_from_json(tensor) for tensor in value["tensors"]),
        )


class ShardWriter:
    """Use as a context manager; `report` is there when the block has ended well, and the file is durable then.

    A block that raises leaves no file.

    Args:
        store: where the run lives.
        key: the file's key; it ends in `bundle.data_file(shard, shards)`.
    """

    def __init__(self, store: Store, key: str) -> None:
        self.key = key
        self._name = key.rpartition("/")[2]
        self._shard, self._shards = parse_data_file(self._name)
        self._opened: AbstractContextManager[Writer] = store.open_writer(key)
        self._out: Writer | None = None
        self._digests = ChunkDigests()
        self._staged = bytearray(_PIECE_BYTES)
        self._staged_bytes = 0
        self._offset = 0
        self._tensors: dict[str, TensorEntry] = {}
        self._report: ShardReport | None = None

    def __enter__(self) -> ShardWriter:
        self._out = self._opened.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error is not None:
            return self._opened.__exit__(kind, error, trace)
        try:
            self._flush()
        except BaseException as failure:
            self._opened.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._opened.__exit__(None, None, None)
        whole, chunks = self._digests.finish()
        record = FileRecord(self._name, self._digests.size, whole, chunks)
        self._report = ShardReport(self._shard, self._shards, record, tuple(self._tensors.values()))
        return None

    @property
    def report(self) -> ShardReport:
        if self._report is None:
            raise InvalidInput(f"the report of {self.key} was asked for before the file was complete")
        return self._report

    def add(self, name: str, dtype: str, shape: Sequence[int], buffer: Buffer | npt.NDArray[Any]) -> None:
        """Append one tensor.

        Args:
            name: its key in the checkpoint ("model/dense/kernel"); unique over all shards.
            dtype: TensorFlow's name of the element type; it decides, not the buffer's own type (a bfloat16
                tensor may come as a view of uint16).
            shape: sizes of the dimensions; () for a scalar.
            buffer: the elements, row-major. A NumPy array that is not contiguous is copied, nothing else is.

        Raises:
            InvalidInput: unknown type, a name used twice, or a buffer whose size does not fit the shape.
            StoreError: the store failed; leave the block and write the shard again.
        """
        if not name or name in self._tensors:
            raise InvalidInput(f"tensor name {name!r} is empty or already in {self._name}")
        sizes = tuple(int(size) for size in shape)
        data = _flat(buffer)
        expected = prod(sizes) * dtypes.by_name(dtype).numpy.itemsize
        if data.nbytes != expected:
            raise InvalidInput(
                f"tensor {name!r} of type {dtype} and shape {list(sizes)} needs {expected} bytes, got {data.nbytes}"
            )
        checksum = self._append(data)
        self._tensors[name] = TensorEntry(name, dtype, sizes, self._shard, self._offset, expected, checksum)
        self._offset += expected

    def _append(self, data: npt.NDArray[np.uint8]) -> int:
        """Returns the bytes' CRC-32C."""
        if data.nbytes <= _SMALL_BYTES:
            if self._staged_bytes + data.nbytes > _PIECE_BYTES:
                self._flush()
            end = self._staged_bytes + data.nbytes
            self._staged[self._staged_bytes : end] = data.data
            self._staged_bytes = end
            return crc.extend(0, data)
        self._flush()
        checksum = 0
        for start in range(0, data.nbytes, _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            checksum = crc.extend(checksum, piece)
            self._write(piece.data)
        return checksum

    def _flush(self) -> None:
        if self._staged_bytes:
            self._write(memoryview(self._staged)[: self._staged_bytes])
            # The writer may still hold the view (an upload in parts), so it is given up, not reused.
            self._staged = bytearray(_PIECE_BYTES)
            self._staged_bytes = 0

    def _write(self, piece: memoryview) -> None:
        if self._out is None:
            raise InvalidInput(f"{self.key} is not open for writing; use `with ShardWriter(...) as shard`")
        self._digests.update(piece)
        self._out.write(piece)


def _flat(buffer: Buffer | npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if isinstance(buffer, np.ndarray | np.generic):
        return np.ascontiguousarray(buffer).reshape(-1).view(np.uint8)
    view = memoryview(buffer)
    return np.frombuffer(view, np.uint8) if view.nbytes else np.empty(0, np.uint8)
