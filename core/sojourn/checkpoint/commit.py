"""Completes a checkpoint once every worker has written its data file: the index, then the manifest.

After it the checkpoint is durable and whole, and still nobody's: it exists when the run's log commits it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sojourn.checkpoint.bundle import INDEX_FILE, TensorEntry, data_file, encode_index
from sojourn.checkpoint.digest import ChunkDigests, digest
from sojourn.checkpoint.manifest import MANIFEST_FILE, CheckpointMeta, Manifest
from sojourn.checkpoint.records import FileRecord
from sojourn.checkpoint.shard import ShardReport
from sojourn.errors import CorruptData, InvalidInput
from sojourn.store.base import Store


def checkpoint_key(step: int, term: int, unique: str) -> str:
    """A checkpoint's folder within its run. `unique` is a UUID: a repeated save of a step never meets its elder."""
    return f"data/{step}-{term}-{unique}"


def shard_key(run_prefix: str, checkpoint: str, shard: int, shards: int) -> str:
    """The store key at which worker `shard` of `shards` writes with ShardWriter."""
    return f"{run_prefix}/{checkpoint}/{data_file(shard, shards)}"


def finish(
    store: Store, run_prefix: str, checkpoint: str, reports: Sequence[ShardReport], meta: CheckpointMeta
) -> tuple[Manifest, str]:
    """Write `ckpt.index` and `manifest.json`. Doing it again with the same arguments is harmless.

    Args:
        run_prefix: the run's folder in the store.
        checkpoint: what `checkpoint_key` gave.
        reports: one of each worker, in any order.

    Returns:
        The manifest and the digest of its stored bytes, which the commit must name.

    Raises:
        InvalidInput: a shard is missing or doubled, or two shards hold the same tensor.
        CorruptData: a data file is not as long as its writer reported.
        KeyMissing: a data file is not there.
    """
    folder = f"{run_prefix}/{checkpoint}"
    ordered = sorted(reports, key=lambda report: report.shard)
    numbers = [(report.shard, report.shards) for report in ordered]
    if not ordered or numbers != [(shard, len(ordered)) for shard in range(len(ordered))]:
        got = ", ".join(f"{shard} of {shards}" for shard, shards in numbers) or "none"
        raise InvalidInput(f"checkpoint {folder} needs exactly one report of each shard, got {got}")
    for report in ordered:
        size = store.stat(f"{folder}/{report.file.name}").size
        if size != report.file.size:
            raise CorruptData(f"{folder}/{report.file.name} has {size} bytes, its writer reported {report.file.size}")
    tensors = sorted((tensor for report in ordered for tensor in report.tensors), key=_name)
    index = encode_index(tensors, len(ordered))
    digests = ChunkDigests()
    digests.update(memoryview(index))
    record = FileRecord(INDEX_FILE, len(index), *digests.finish())
    manifest = Manifest(checkpoint, meta, (*(report.file for report in ordered), record), tuple(tensors))
    stored = manifest.to_bytes()
    store.put(f"{folder}/{INDEX_FILE}", index)
    store.put(f"{folder}/{MANIFEST_FILE}", stored)
    return manifest, digest(stored)


def _name(tensor: TensorEntry) -> bytes:
    return tensor.name.encode()
