"""The two rows that reports and manifests share, and their JSON: a file with its digests, a tensor's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sojourn.checkpoint.bundle import TensorEntry


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file: name within its checkpoint, bytes, BLAKE3 of the whole and of each chunk in order."""

    name: str
    size: int
    digest: str
    chunks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "size": self.size, "digest": self.digest, "chunks": list(self.chunks)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> FileRecord:
        return cls(value["name"], value["size"], value["digest"], tuple(value["chunks"]))


def tensor_to_json(tensor: TensorEntry) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "file": tensor.shard,
        "offset": tensor.offset,
        "length": tensor.length,
        "crc32c": tensor.crc32c,
    }


def tensor_from_json(value: dict[str, Any]) -> TensorEntry:
    return TensorEntry(
        name=value["name"],
        dtype=value["dtype"],
        shape=tuple(value["shape"]),
        shard=value["file"],
        offset=value["offset"],
        length=value["length"],
        crc32c=value["crc32c"],
    )
