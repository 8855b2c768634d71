"""Runs in a directory: local disk, a PVC, NFS.

Exclusive create is link(2) of a complete, synced temporary file: link fails if the name is taken, on local file
systems and on NFS alike, and readers meet the whole object or none. Everything else is temporary file, fsync,
rename, fsync of the folder, so that a power cut leaves the old object or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sojourn.store.base import Buffer, KeyExists, KeyMissing, ObjectInfo, Partial, Writer
from sojourn.store.keys import TEMP_PREFIX, check_key, check_prefix
from sojourn.store.oserrors import store_error
from sojourn.store.walk import holds_object, walk

_READ_SIZE = 64 << 20
_PRUNED_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class _Temporary:
    """A temporary file that is open for writing, beside the object that it is to become."""

    path: Path
    temporary: Path
    descriptor: int

    def write(self, data: Buffer) -> None:
        with _errors(self.path, "write"):
            left = memoryview(data).cast("B")
            while left:
                left = left[os.write(self.descriptor, left) :]


@dataclass(frozen=True, slots=True)
class _PartialFile:
    """A temporary file of the final size, with holes, whose name can be found again."""

    path: Path
    temporary: Path
    descriptor: int

    def read(self, offset: int, length: int) -> bytes:
        with _errors(self.temporary, "read"):
            if _is_hole(self.descriptor, offset, length):
                return b""
            return _read_range(self.descriptor, offset, length)

    def write(self, offset: int, data: Buffer) -> None:
        with _errors(self.path, "write"):
            left = memoryview(data).cast("B")
            while left:
                count = os.pwrite(self.descriptor, left, offset)
                left, offset = left[count:], offset + count

    def finish(self) -> None:
        with _errors(self.path, "write"):
            os.fsync(self.descriptor)
            try:
                self.temporary.replace(self.path)
            except FileNotFoundError:
                # Another writer of the same bytes was faster.
                if not self.path.exists():
                    raise
            _sync_folder(self.path.parent)


class PosixStore:
    """Objects are files below `root`, which is made on the first write.

    Temporary files lie beside the objects they become, are named `.sojourn-tmp-...`, and are never listed;
    those of killed writers go with `sweep_temporary`.
    """

    concurrency = 1

    def __init__(self, root: str | Path) -> None:
        self._root = Path(os.path.abspath(root))  # noqa: PTH100 - Path.absolute keeps ".."

    @property
    def uri(self) -> str:
        return self._root.as_uri()

    @property
    def root(self) -> Path:
        """The directory that holds the store."""
        return self._root

    def create(self, key: str, data: Buffer) -> None:
        with self._temporary(key) as file:
            file.write(data)
            with _errors(file.path, "create"):
                os.fsync(file.descriptor)
                try:
                    os.link(file.temporary, file.path, follow_symlinks=False)
                except FileExistsError as error:
                    # The name may not be durable yet, and whoever reads back his own object relies on it.
                    _sync_folder(file.path.parent)
                    raise KeyExists(f"{file.path} exists already") from error
                _sync_folder(file.path.parent)

    def put(self, key: str, data: Buffer) -> None:
        with self.open_writer(key) as writer:
            writer.write(data)

    @contextmanager
    def open_writer(self, key: str) -> Iterator[Writer]:
        with self._temporary(key) as file:
            yield file
            with _errors(file.path, "write"):
                os.fsync(file.descriptor)
                file.temporary.replace(file.path)
                _sync_folder(file.path.parent)

    @contextmanager
    def open_partial(self, key: str, size: int, token: str) -> Iterator[Partial]:
        """See PartialStore. It stays when the block ends without `finish`; `sweep_temporary` finds it like others."""
        path = self._path(key)
        temporary = _partial_path(path, token)
        with _errors(path, "write"):
            descriptor = _open_file(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            with _errors(path, "write"):
                os.ftruncate(descriptor, size)
            yield _PartialFile(path, temporary, descriptor)
        finally:
            # It is finished and synced, or will be verified by whoever goes on with it.
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def partial_bytes(self, key: str, token: str) -> int:
        """See PartialStore."""
        path = _partial_path(self._path(key), token)
        with _errors(path, "examine"):
            try:
                return path.stat().st_blocks * 512
            except (FileNotFoundError, NotADirectoryError):
                return 0

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        path = self._path(key)
        with _errors(path, "read"):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(descriptor).st_size
                end = size if length is None else min(size, offset + length)
                return _read_range(descriptor, offset, max(0, end - offset))
            finally:
                os.close(descriptor)

    def read_into(self, key: str, offset: int, target: memoryview) -> int:
        """See DirectStore."""
        path = self._path(key)
        with _errors(path, "read"):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                filled = 0
                while filled < len(target):
                    count = os.preadv(descriptor, [target[filled:]], offset + filled)
                    if not count:
                        break
                    filled += count
                return filled
            finally:
                os.close(descriptor)

    def expect(self, key: str, offset: int, length: int) -> None:
        """See DirectStore: the system begins to read into its page cache."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)

    def stat(self, key: str) -> ObjectInfo:
        path = self._path(key)
        with _errors(path, "read"):
            if path.is_dir():
                raise KeyMissing(f"{path} is a folder, not an object")
            return ObjectInfo(key, path.stat().st_size)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        folder = check_prefix(prefix)
        with _errors(self._root / folder, "list"):
            yield from walk(self._root, folder, start_after)

    def list_folders(self, prefix: str = "") -> Iterator[str]:
        folder = check_prefix(prefix)
        path = self._root / folder
        with _errors(path, "list"):
            try:
                with os.scandir(path) as entries:
                    names = sorted(entry.name for entry in entries if entry.is_dir())
            except (FileNotFoundError, NotADirectoryError):
                return
            for name in names:
                if holds_object(path / name):
                    yield name

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _errors(path, "delete"):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
            except PermissionError:
                if not path.is_dir():
                    raise
                return
            self._sync_and_prune(path.parent)

    def free_bytes(self) -> int | None:
        path = self._root
        with _errors(path, "examine"):
            while not path.exists():
                path = path.parent
            status = os.statvfs(path)
        return status.f_bavail * status.f_frsize

    def sweep_temporary(self, older_than: float, now: float | None = None, *, prefix: str = "") -> int:
        """Delete temporary files whose last write is more than `older_than` seconds ago; return how many.

        A writer touches its temporary file with every write, so an hour is safe for anything but a hung one.
        `prefix` restricts it to a folder.
        """
        limit = (time.time() if now is None else now) - older_than
        count = 0
        with _errors(self._root, "sweep"):
            for folder, _, names in os.walk(self._root / check_prefix(prefix)):
                left = [Path(folder, name) for name in names if name.startswith(TEMP_PREFIX)]
                swept = sum(_unlink_if_older(path, limit) for path in left)
                if swept:
                    self._sync_and_prune(Path(folder))
                count += swept
        return count

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    @contextmanager
    def _temporary(self, key: str) -> Iterator[_Temporary]:
        """A new temporary file that is gone when the block ends."""
        path = self._path(key)
        with _errors(path, "write"):
            file = _open_temporary(path)
        try:
            yield file
        finally:
            # The object is complete and synced, or given up: neither failure can harm it.
            with contextlib.suppress(OSError):
                os.close(file.descriptor)
            with contextlib.suppress(OSError):
                file.temporary.unlink()

    def _sync_and_prune(self, folder: Path) -> None:
        _sync_folder(folder)
        while folder not in (self._root, folder.parent):
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def _open_temporary(path: Path) -> _Temporary:
    temporary = path.parent / f"{TEMP_PREFIX}{uuid.uuid4().hex}"
    return _Temporary(path, temporary, _open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))


def _open_file(path: Path, flags: int) -> int:
    for _ in range(_PRUNED_AT_MOST):
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            # Its folder is not there yet, or pruned by a delete since we made it: make it (again).
            _make_folders(path.parent)
    return os.open(path, flags, 0o666)


def _partial_path(path: Path, token: str) -> Path:
    return path.parent / f"{TEMP_PREFIX}{token}"


def _is_hole(descriptor: int, offset: int, length: int) -> bool:
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA) >= offset + length
    except OSError as error:
        # The end of the file is a hole; a file system that cannot tell has data everywhere.
        return error.errno == errno.ENXIO


def _make_folders(folder: Path) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        try:
            path.mkdir(exist_ok=True)
        except FileNotFoundError:
            return
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_range(descriptor: int, offset: int, length: int) -> bytes:
    first = os.pread(descriptor, min(length, _READ_SIZE), offset)
    if len(first) == length or not first:
        return first
    data = bytearray(first)
    while len(data) < length:
        part = os.pread(descriptor, min(length - len(data), _READ_SIZE), offset + len(data))
        if not part:
            break
        data += part
    return bytes(data)


def _unlink_if_older(path: Path, limit: float) -> bool:
    try:
        if path.stat().st_mtime >= limit:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _errors(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise store_error(error, path, verb) from error
