"""What a checkpoint consists of and how it came to be: `manifest.json`, whose digest a commit names.

Field by field: docs/concepts/checkpoint-format.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn.checkpoint.bundle import TensorEntry
from sojourn.checkpoint.digest import CHUNK_BYTES
from sojourn.checkpoint.records import FileRecord, tensor_from_json, tensor_to_json
from sojourn.errors import CorruptData, InvalidInput
from sojourn.runlog.codec import parse

FORMAT = "sojourn.dev/checkpoint/v1"
MANIFEST_FILE = "manifest.json"
_FLOAT_KEY = "$float"


@dataclass(frozen=True, slots=True)
class Position:
    """Where the data stands: `batch` global batches of pass `epoch` (from 0) have been consumed."""

    epoch: int = 0
    batch: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointMeta:
    """Everything a manifest says beside files and tensors.

    `step` counts optimizer steps, `samples` what they consumed; `callbacks` and `extra` hold JSON values
    (infinities and NaN too); `threads` has "intraOp" and "interOp"; `versions` maps package to version.
    """

    step: int
    samples: int = 0
    position: Position = Position()
    seed: int | None = None
    mode: str = "Exact"
    strategy: str = "Default"
    replicas: int = 1
    global_batch_size: int | None = None
    spec_digest: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    cpu_flags: tuple[str, ...] = ()
    threads: Mapping[str, int] = field(default_factory=dict)
    callbacks: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole checkpoint. `files` lists the data files in shard order, then the index; a tensor's `shard` points in."""

    checkpoint: str
    meta: CheckpointMeta
    files: tuple[FileRecord, ...]
    tensors: tuple[TensorEntry, ...]
    chunk_bytes: int = CHUNK_BYTES

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """The stored form: the same manifest always gives the same bytes, so a repeated write changes nothing.

        Raises:
            InvalidInput: `callbacks` or `extra` hold something that JSON cannot.
        """
        meta = self.meta
        body = {
            "format": FORMAT,
            "checkpoint": self.checkpoint,
            "step": meta.step,
            "samples": meta.samples,
            "position": {"epoch": meta.position.epoch, "batch": meta.position.batch},
            "seed": meta.seed,
            "mode": meta.mode,
            "strategy": meta.strategy,
            "replicas": meta.replicas,
            "globalBatchSize": meta.global_batch_size,
            "specDigest": meta.spec_digest,
            "versions": dict(sorted(meta.versions.items())),
            "cpuFlags": list(meta.cpu_flags),
            "threads": dict(sorted(meta.threads.items())),
            "callbacks": _plain(meta.callbacks, "callbacks"),
            "extra": _plain(meta.extra, "extra"),
            "chunkBytes": self.chunk_bytes,
            "files": [file.to_json() for file in self.files],
            "tensors": [tensor_to_json(tensor) for tensor in self.tensors],
        }
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str) -> Manifest:
        """`source` names it in errors. Raises CorruptData, also for a format newer than this Sojourn."""
        try:
            body = parse(data)
            if body["format"] != FORMAT:
                raise CorruptData(
                    f"{source} has format {body['format']!r}, this Sojourn reads {FORMAT!r}",
                    hint="Use the Sojourn version that wrote it, or a newer one.",
                )
            manifest = _parse(body)
            _check(manifest, source)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise CorruptData(f"{source} is not a checkpoint manifest: {type(error).__name__}: {error}") from error
        return manifest


def _parse(body: dict[str, Any]) -> Manifest:
    meta = CheckpointMeta(
        step=body["step"],
        samples=body["samples"],
        position=Position(body["position"]["epoch"], body["position"]["batch"]),
        seed=body["seed"],
        mode=body["mode"],
        strategy=body["strategy"],
        replicas=body["replicas"],
        global_batch_size=body["globalBatchSize"],
        spec_digest=body["specDigest"],
        versions=body["versions"],
        cpu_flags=tuple(body["cpuFlags"]),
        threads=body["threads"],
        callbacks=_rich(body["callbacks"]),
        extra=_rich(body["extra"]),
    )
    return Manifest(
        checkpoint=body["checkpoint"],
        meta=meta,
        files=tuple(FileRecord.from_json(file) for file in body["files"]),
        tensors=tuple(tensor_from_json(tensor) for tensor in body["tensors"]),
        chunk_bytes=body["chunkBytes"],
    )


def _check(manifest: Manifest, source: str) -> None:
    for file in manifest.files:
        if len(file.chunks) != -(-file.size // manifest.chunk_bytes):
            raise CorruptData(f"{source}: {file.name} of {file.size} bytes has {len(file.chunks)} chunk digests")
    for tensor in manifest.tensors:
        if not 0 <= tensor.offset <= tensor.offset + tensor.length <= manifest.files[tensor.shard].size:
            raise CorruptData(f"{source}: tensor {tensor.name!r} lies outside of its file")


def _plain(value: Any, where: str) -> Any:
    """JSON has no infinities, and an early-stopping callback's best value starts as one."""
    if isinstance(value, Mapping):
        if _FLOAT_KEY in value or not all(isinstance(key, str) for key in value):
            raise InvalidInput(f"{where} has a key that a manifest cannot hold (keys are strings, not {_FLOAT_KEY!r})")
        return {key: _plain(part, f"{where}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, f"{where}[{number}]") for number, part in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT_KEY: repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InvalidInput(f"{where} holds a {type(value).__name__}, which JSON cannot", hint="Convert it to plain values.")


def _rich(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_FLOAT_KEY}:
            return float(value[_FLOAT_KEY])
        return {key: _rich(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rich(part) for part in value]
    return value
