"""Reads tensors of a checkpoint, verifying every chunk it touches and touching no other.

A worker that restores its part reads and checks only that part of the files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sojourn.checkpoint import dtypes
from sojourn.checkpoint.bundle import TensorEntry
from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.filling import Origin, fill_tensors
from sojourn.checkpoint.manifest import MANIFEST_FILE, Manifest
from sojourn.checkpoint.read_plan import check_length, plan_reads
from sojourn.checkpoint.records import FileRecord
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.runlog.records import CommitInfo
from sojourn.store.base import KeyMissing, Store

# Small tensors that are asked for one by one alternate between the shards of a few workers.
_CHUNKS_KEPT = 8


def load_manifest(store: Store, run_prefix: str, commit: CommitInfo) -> Manifest:
    """The manifest that a commit names. Raises CorruptData if it is missing or not the committed one."""
    key = f"{commit.location(run_prefix)}/{MANIFEST_FILE}"
    try:
        data = store.read(key)
    except KeyMissing as error:
        raise CorruptData(f"{key} is missing, though the run's log commits it") from error
    if digest(data) != commit.manifest:
        raise CorruptData(f"{key} is not the manifest that was committed: {digest(data)}, expected {commit.manifest}")
    manifest = Manifest.from_bytes(data, source=key)
    if manifest.checkpoint != commit.checkpoint:
        raise CorruptData(f"{key} belongs to {manifest.checkpoint}, the commit says {commit.checkpoint}")
    return manifest


def read_chunk(store: Store, folder: str, file: FileRecord, number: int, chunk_bytes: int) -> bytes:
    """Chunk `number` of a file, verified. Raises CorruptData naming file and chunk."""
    start = number * chunk_bytes
    length = min(chunk_bytes, file.size - start)
    where = f"{folder}/{file.name}, chunk {number} (bytes {start} to {start + length - 1})"
    try:
        data = store.read(f"{folder}/{file.name}", start, length)
    except KeyMissing as error:
        raise CorruptData(f"{where}: the file is missing") from error
    if len(data) != length:
        raise CorruptData(f"{where}: the file ends after {start + len(data)} of {file.size} bytes")
    if digest(data) != file.chunks[number]:
        raise CorruptData(f"{where}: the bytes do not match the manifest's digest")
    return data


class CheckpointReader:
    """One checkpoint's tensors.

    Args:
        store: where the run lives.
        run_prefix: the folder of the run whose log has the commit.
        source: a commit of the run's log (its manifest is fetched and verified), or a manifest already verified.

    Raises:
        CorruptData: the manifest is missing, damaged, or not the committed one.
    """

    def __init__(self, store: Store, run_prefix: str, source: CommitInfo | Manifest) -> None:
        self._store = store
        if isinstance(source, Manifest):
            self.manifest, self._folder = source, f"{run_prefix}/{source.checkpoint}"
        else:
            self.manifest, self._folder = load_manifest(store, run_prefix, source), source.location(run_prefix)
        self._tensors = {tensor.name: tensor for tensor in self.manifest.tensors}
        self._chunks: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def names(self) -> list[str]:
        """All tensors' names, sorted."""
        return sorted(self._tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def entry(self, name: str) -> TensorEntry:
        """Type, shape and place of a tensor. Raises NotFound."""
        entry = self._tensors.get(name)
        if entry is None:
            raise NotFound(f"checkpoint {self._folder} has no tensor {name!r}")
        return entry

    def tensor(self, name: str) -> npt.NDArray[Any]:
        """A new array with the tensor's elements (bfloat16 and float8 as ml_dtypes types).

        Raises:
            NotFound: there is no such tensor.
            CorruptData: a chunk that holds part of it does not match its digest.
        """
        entry = self.entry(name)
        check_length(entry, self._folder)
        raw = np.empty(entry.length, np.uint8)
        filled, size = 0, self.manifest.chunk_bytes
        while filled < entry.length:
            number, within = divmod(entry.offset + filled, size)
            chunk = self._chunk(entry.shard, number)
            part = min(entry.length - filled, len(chunk) - within)
            raw[filled : filled + part] = np.frombuffer(chunk, np.uint8, part, within)
            filled += part
        return self.shaped(name, raw)

    def read(self, names: Iterable[str] | None = None, *, streams: int | None = None) -> dict[str, npt.NDArray[Any]]:
        """Several tensors, all by default, as `fill` reads them, in new arrays. Raises as `fill`."""
        raw = {
            name: np.empty(self.entry(name).length, np.uint8) for name in (self._tensors if names is None else names)
        }
        self.fill({name: array.data for name, array in raw.items()}, streams=streams)
        return {name: self.shaped(name, array) for name, array in raw.items()}

    def fill(self, targets: Mapping[str, memoryview], *, streams: int | None = None) -> None:
        """Read tensors' bytes into memory that is there already; on return all of them are verified.

        Each chunk is read once, several at a time. Beside the targets it takes one chunk of memory for each stream,
        two in an object store.

        Args:
            targets: for each tensor a writable, flat view of `entry(name).length` unsigned bytes.
            streams: how many chunks at once; by default the store's `concurrency`, or in a directory one for each
                processor, 8 at most.

        Raises:
            NotFound: there is no such tensor.
            InvalidInput: a target has another size.
            CorruptData: a chunk that holds part of a tensor is missing or does not match its digest. What the targets
                hold then is of no use.
            StoreError: the store cannot be read.
        """
        entries = [self.entry(name) for name in targets]
        for entry in entries:
            if targets[entry.name].nbytes != entry.length:
                raise InvalidInput(
                    f"tensor {entry.name!r} takes {entry.length} bytes, its target has {targets[entry.name].nbytes}"
                )
        fill_tensors(
            Origin(self._store, self._folder, self.manifest), plan_reads(self.manifest, entries), targets, streams
        )

    def shaped(self, name: str, raw: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """A tensor's bytes as an array of its type and shape, without a copy. Raises NotFound."""
        entry = self.entry(name)
        return raw.view(dtypes.by_name(entry.dtype).numpy).reshape(entry.shape)

    def _chunk(self, shard: int, number: int) -> bytes:
        data = self._chunks.pop((shard, number), None)
        if data is None:
            file = self.manifest.files[shard]
            data = read_chunk(self._store, self._folder, file, number, self.manifest.chunk_bytes)
            if len(self._chunks) == _CHUNKS_KEPT:
                self._chunks.popitem(last=False)
        self._chunks[shard, number] = data
        return data
