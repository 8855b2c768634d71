"""Reads a bundle that has no manifest: TensorFlow's own checkpoints, checked by the checksums in their index."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sojourn.checkpoint import crc, dtypes
from sojourn.checkpoint.bundle import TensorEntry, data_file, decode_index
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.store.base import KeyMissing, Store


class BundleReader:
    """One bundle.

    Args:
        store: where its files are.
        prefix: what TensorFlow calls the checkpoint's path, as a key ("models/ckpt-7").

    Raises:
        NotFound: there is no such bundle.
        CorruptData: its index is damaged.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        index = decode_index(store.read(f"{prefix}.index"), source=f"{prefix}.index")
        self._shards = index.shards
        self._tensors = {tensor.name: tensor for tensor in index.tensors}

    def names(self) -> list[str]:
        """All tensors' names, sorted; also those whose type cannot be read (TensorFlow's object graph is a string)."""
        return list(self._tensors)

    def entry(self, name: str) -> TensorEntry:
        """Type, shape and place of a tensor. Raises NotFound."""
        if name not in self._tensors:
            raise NotFound(f"checkpoint {self._prefix} has no tensor {name!r}")
        return self._tensors[name]

    def tensor(self, name: str) -> npt.NDArray[Any]:
        """A new array.

        Raises:
            NotFound: there is no such tensor.
            InvalidInput: it is a string, or a partitioned variable.
            CorruptData: its bytes are missing or do not match their checksum.
        """
        entry = self.entry(name)
        kind = dtypes.by_name(entry.dtype).numpy
        if entry.sliced:
            raise InvalidInput(f"tensor {name!r} of {self._prefix} is a partitioned variable, which is not supported")
        key = data_file(entry.shard, self._shards, self._prefix)
        where = f"{key}, bytes {entry.offset} to {entry.offset + entry.length - 1} (tensor {name!r})"
        try:
            data = self._store.read(key, entry.offset, entry.length)
        except KeyMissing as error:
            raise CorruptData(f"{where}: the file is missing") from error
        if len(data) != entry.length or crc.extend(0, data) != entry.crc32c:
            raise CorruptData(f"{where}: the bytes do not match the checksum in the index")
        try:
            return np.frombuffer(bytearray(data), kind).reshape(entry.shape) if data else np.empty(entry.shape, kind)
        except ValueError as error:
            raise CorruptData(f"{where}: {entry.length} bytes do not make the shape {list(entry.shape)}") from error
