"""Files whose digests somebody recorded: a checkpoint's by its manifest, an export's by its own.

An export's manifest.json is free to say what it likes beside `"files": [{name, size, digest, chunks}]`, where the
chunks (of "chunkBytes", 8 MiB by default) may be left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blake3 import blake3

from sojourn.checkpoint.digest import CHUNK_BYTES, ChunkDigests, digest
from sojourn.checkpoint.manifest import MANIFEST_FILE
from sojourn.checkpoint.reader import read_chunk
from sojourn.checkpoint.records import FileRecord
from sojourn.errors import CorruptData
from sojourn.runlog.codec import parse
from sojourn.store.base import KeyMissing, Store


@dataclass(frozen=True, slots=True)
class FileSet:
    """A folder of files with their digests; `manifest` is the file that holds these, as stored."""

    folder: str
    files: tuple[FileRecord, ...]
    manifest: bytes
    chunk_bytes: int = CHUNK_BYTES

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files) + len(self.manifest)


def load_file_set(store: Store, folder: str, expected: str) -> FileSet:
    """The files that `folder/manifest.json` lists, for a checkpoint or an export.

    Args:
        expected: the manifest's digest as the run's log has it.

    Raises:
        CorruptData: the manifest is missing, not the recorded one, or not readable.
    """
    key = f"{folder}/{MANIFEST_FILE}"
    try:
        data = store.read(key)
    except KeyMissing as error:
        raise CorruptData(f"{key} is missing, though the run's log names it") from error
    return parse_file_set(folder, data, expected)


def parse_file_set(folder: str, data: bytes, expected: str) -> FileSet:
    """The same from the manifest's bytes. Raises CorruptData."""
    key = f"{folder}/{MANIFEST_FILE}"
    if digest(data) != expected:
        raise CorruptData(f"{key} has digest {digest(data)}, the run's log names {expected}")
    try:
        body = parse(data)
        files = tuple(
            FileRecord(file["name"], file["size"], file["digest"], tuple(file.get("chunks", ())))
            for file in body["files"]
        )
        chunk_bytes = body.get("chunkBytes", CHUNK_BYTES)
        for file in files:
            if file.chunks and len(file.chunks) != -(-file.size // chunk_bytes):
                raise ValueError(f"{file.name} has {len(file.chunks)} chunk digests")
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise CorruptData(f"{key} does not list files: {type(error).__name__}: {error}") from error
    return FileSet(folder, files, data, chunk_bytes)


def record_file(store: Store, folder: str, name: str) -> FileRecord:
    """Size and digests of a file that is in the store, for the manifest of an export. Raises KeyMissing."""
    digests = ChunkDigests()
    size = store.stat(f"{folder}/{name}").size
    for start in range(0, size, CHUNK_BYTES):
        digests.update(memoryview(store.read(f"{folder}/{name}", start, CHUNK_BYTES)))
    return FileRecord(name, digests.size, *digests.finish())


def read_verified(store: Store, folder: str, file: FileRecord, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """A file's bytes, chunk by chunk, each verified before it is given out where its digest is known.

    Raises:
        CorruptData: names file and chunk; for a file without chunk digests it comes after the last chunk.
    """
    if file.chunks:
        for number in range(len(file.chunks)):
            yield read_chunk(store, folder, file, number, chunk_bytes)
    else:
        whole, size = blake3(), 0
        while size < file.size:
            data = _read(store, folder, file, size, min(chunk_bytes, file.size - size))
            whole.update(data)
            size += len(data)
            yield data
        if f"blake3:{whole.hexdigest()}" != file.digest:
            raise CorruptData(f"{folder}/{file.name}: the bytes do not match the recorded digest")
    check_size(store, folder, file)


def check_size(store: Store, folder: str, file: FileRecord) -> None:
    """Raise CorruptData if the file is missing or has not the recorded size."""
    try:
        size = store.stat(f"{folder}/{file.name}").size
    except KeyMissing as error:
        raise CorruptData(f"{folder}/{file.name} is missing") from error
    if size != file.size:
        raise CorruptData(f"{folder}/{file.name} has {size} bytes, {file.size} are recorded")


def _read(store: Store, folder: str, file: FileRecord, start: int, length: int) -> bytes:
    try:
        data = store.read(f"{folder}/{file.name}", start, length)
    except KeyMissing as error:
        raise CorruptData(f"{folder}/{file.name} is missing") from error
    if len(data) != length:
        raise CorruptData(f"{folder}/{file.name} ends after {start + len(data)} of {file.size} bytes")
    return data
