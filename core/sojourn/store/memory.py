"""A store in this process' memory, for tests and for trying things out; threads may share it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sojourn.store.base import Buffer, KeyExists, KeyMissing, ObjectInfo, Writer
from sojourn.store.keys import check_key, check_prefix


class _BufferWriter:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: Buffer) -> None:
        self.data += data


class MemoryStore:
    """Objects in a dict behind a lock. Everything is lost with the process."""

    concurrency = 1

    def __init__(self, name: str = "store") -> None:
        self._name = name
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def uri(self) -> str:
        return f"memory://{self._name}"

    def create(self, key: str, data: Buffer) -> None:
        check_key(key)
        with self._lock:
            if key in self._objects:
                raise KeyExists(f"{self.uri}/{key} exists already")
            self._objects[key] = bytes(data)

    def put(self, key: str, data: Buffer) -> None:
        check_key(key)
        with self._lock:
            self._objects[key] = bytes(data)

    @contextmanager
    def open_writer(self, key: str) -> Iterator[Writer]:
        check_key(key)
        writer = _BufferWriter()
        yield writer
        self.put(key, writer.data)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        data = self._get(key)
        return data[offset:] if length is None else data[offset : offset + length]

    def stat(self, key: str) -> ObjectInfo:
        return ObjectInfo(key, len(self._get(key)))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        folder = check_prefix(prefix)
        with self._lock:
            found = sorted(
                (key, len(data))
                for key, data in self._objects.items()
                if key > start_after and (not folder or key.startswith(f"{folder}/"))
            )
        return (ObjectInfo(key, size) for key, size in found)

    def list_folders(self, prefix: str = "") -> Iterator[str]:
        folder = check_prefix(prefix)
        start = f"{folder}/" if folder else ""
        with self._lock:
            rests = [key[len(start) :] for key in self._objects if key.startswith(start)]
        return iter(sorted({rest.split("/", 1)[0] for rest in rests if "/" in rest}))

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def free_bytes(self) -> int | None:
        return None

    def _get(self, key: str) -> bytes:
        check_key(key)
        with self._lock:
            if key not in self._objects:
                raise KeyMissing(f"{self.uri}/{key} does not exist")
            return self._objects[key]
