"""TFRecord files with random access: an index of where each record is, built once per file and kept in the cache.

The form of a file is that of tensorflow/core/lib/io/record_writer.h: length, its checksum, the bytes, their checksum.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import google_crc32c
import numpy as np
from blake3 import blake3

from sojourn.errors import CorruptData, InvalidInput

_HEADER: Final = 12  # length and its checksum
_FOOTER: Final = 4
_READ_AHEAD: Final = 1 << 20
_INDEX_FORM: Final = 1


@dataclass(frozen=True)
class Stamp:
    """What tells that a file is the one that was indexed."""

    size: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_size, status.st_mtime_ns)


class RecordFile:
    """One file's records by number, each verified against its checksum when it is read. Safe to use from threads."""

    def __init__(self, path: Path, cache: Path) -> None:
        """Open a file; `cache` is the folder of indexes.

        Raises:
            InvalidInput: the file cannot be read, or is not a whole TFRecord file.
        """
        self.path = path
        try:
            # Closed by the process's end: a source lives as long as its worker.
            self._file = os.open(path, os.O_RDONLY)
            self._stamp = Stamp.of(os.fstat(self._file))
        except OSError as error:
            raise InvalidInput(f"cannot read the TFRecord file {path}: {error.strerror}") from error
        self._starts = load_index(self._file, path, self._stamp, cache)

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, number: int) -> bytes:
        """The bytes of a record.

        Raises:
            CorruptData: the file has changed since it was opened, or the record does not match its checksum.
        """
        start = int(self._starts[number])
        head = os.pread(self._file, _HEADER, start)
        length = struct.unpack("<Q", head[:8])[0] if len(head) == _HEADER else 0
        data = os.pread(self._file, length + _FOOTER, start + _HEADER)
        whole = len(head) == _HEADER and _is_of(head[:8], head[8:]) and len(data) == length + _FOOTER
        if whole and _is_of(data[:length], data[length:]):
            return data[:length]
        if Stamp.of(os.fstat(self._file)) != self._stamp:
            raise CorruptData(
                f"{self.path} has changed while it was being read",
                hint="A training run needs the same records throughout: write new data to a new file.",
            )
        raise CorruptData(
            f"record {number} of {self.path}, at byte {start}, does not match its checksum",
            hint="Copy the file again from where it came from.",
        )


def load_index(file: int, path: Path, stamp: Stamp, cache: Path) -> np.ndarray:
    """Where each record of the open file starts: int64 [records]. Kept in `cache` for as long as size and time stay.

    Raises:
        InvalidInput: the file is torn, or no TFRecord file.
    """
    kept = cache / f"{blake3(os.fsencode(path.absolute())).hexdigest()}.npz"
    key = np.array([_INDEX_FORM, stamp.size, stamp.changed_ns])
    try:
        with np.load(kept, allow_pickle=False) as stored:
            if np.array_equal(stored["key"], key):
                return stored["starts"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # none, or one that was damaged: it is made again
    starts = scan(file, path, stamp.size)
    _keep(kept, key, starts)
    return starts


def scan(file: int, path: Path, size: int) -> np.ndarray:
    """Where each record starts, by walking from one length to the next; the records themselves are not looked at.

    Raises:
        InvalidInput: the file does not consist of whole records.
    """
    starts: list[int] = []
    at, base, buffer = 0, 0, b""
    while at < size:
        if at + _HEADER > base + len(buffer):
            base, buffer = at, os.pread(file, _READ_AHEAD, at)
        head = buffer[at - base : at - base + _HEADER]
        if len(head) == _HEADER and not _is_of(head[:8], head[8:]):
            raise _not_whole(path, len(starts), at, head)
        end = at + _HEADER + struct.unpack("<Q", head[:8])[0] + _FOOTER if len(head) == _HEADER else size + 1
        if end > size:
            raise InvalidInput(
                f"{path} is torn: record {len(starts)}, at byte {at}, goes beyond its end at byte {size}",
                hint="Whoever wrote it did not finish, or a copy was cut short: write or copy it again.",
            )
        starts.append(at)
        at = end
        if not base <= at < base + len(buffer):
            base, buffer = at, b""
    return np.array(starts, np.int64)


def _not_whole(path: Path, number: int, at: int, head: bytes) -> InvalidInput:
    if number == 0:
        packed = head[:2] in (b"\x1f\x8b", b"\x78\x9c", b"\x78\x01", b"\x78\xda")
        return InvalidInput(
            f"{path} is not a TFRecord file" + (": it is compressed" if packed else ""),
            hint="Write it without compression: records are read in any order.",
        )
    return InvalidInput(
        f"{path} is damaged: the length of record {number}, at byte {at}, does not match its checksum",
        hint="Copy the file again from where it came from.",
    )


def _keep(path: Path, key: np.ndarray, starts: np.ndarray) -> None:
    """Write an index as a whole or not at all. Without a cache that can be written it is made anew by every process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as scratch:
            np.savez(scratch, key=key, starts=starts)
        Path(scratch.name).replace(path)
    except OSError:
        return


def _is_of(data: bytes, checksum: bytes) -> bool:
    crc = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.unpack("<I", checksum)[0] == masked
