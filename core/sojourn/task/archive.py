"""A job's code as a tar file that depends on nothing but the files' names and contents.

So the same code has the same digest on every machine, and a run keeps it once. Unpacking trusts nothing:
archives come from stores that others write to.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from blake3 import blake3

from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.task.ignore import IGNORE_FILE, IgnoreRules

LIMIT_BYTES = 32 * 1024 * 1024
ARCHIVE_FILE = "code.tar"
"""Name of an archive where it is a file among others: in a run's folder, in a ConfigMap."""
_PREFIX = "blake3:"


@dataclass(frozen=True, slots=True)
class Archive:
    """A packed folder: the tar file, its digest ("blake3:<hex>"), the names of the files in it."""

    data: bytes
    digest: str
    files: tuple[str, ...]


def pack(folder: Path | str, *, limit_bytes: int = LIMIT_BYTES) -> Archive:
    """Pack a folder of source code.

    Left out: what `.sojournignore` names, and caches, version control and virtual environments. A symbolic
    link to something in the folder is packed as what it points to.

    Raises:
        NotFound: there is no such folder.
        InvalidInput: it is empty or too large, or holds a link that leaves it or a file that is no file.
    """
    root = Path(folder).resolve()
    if not root.is_dir():
        raise NotFound(f"the code folder {root} does not exist")
    found = dict(_walk(root))
    if not found:
        raise InvalidInput(f"the code folder {root} has no files to pack")
    _check_size(root, found, limit_bytes)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in sorted(found.items()):
            content = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            tar.addfile(member, io.BytesIO(content))
    data = out.getvalue()
    return Archive(data, f"{_PREFIX}{blake3(data).hexdigest()}", tuple(sorted(found)))


def archive_key(digest: str) -> str:
    """Where a store keeps an archive for jobs that are yet to start."""
    return f"code/{digest.removeprefix(_PREFIX)}.tar"


def files_of(archive: Archive) -> dict[str, bytes]:
    """The contents of an archive that was packed here, by name."""
    with tarfile.open(fileobj=io.BytesIO(archive.data), mode="r:") as tar:
        return {name: content.read() for name in archive.files if (content := tar.extractfile(name)) is not None}


def unpack(data: bytes, digest: str, cache: Path | str) -> Path:
    """Unpack into `cache/<hex of the digest>`, once: a folder that is there is complete and returned as it is.

    Several processes may do it at the same time.

    Raises:
        CorruptData: the bytes do not have this digest.
        InvalidInput: the archive holds anything but plain files below its root.
    """
    actual = f"{_PREFIX}{blake3(data).hexdigest()}"
    if actual != digest:
        raise CorruptData(f"the code archive has digest {actual}, expected {digest}")
    target = Path(cache) / digest.removeprefix(_PREFIX)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".unpack-", dir=target.parent))
    try:
        _extract(data, partial)
        partial.chmod(0o755)
        try:
            partial.rename(target)
        except OSError:
            # Somebody else was first: the name is his folder, with the same contents.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """(name in the archive, file to read) of everything that belongs to the code."""
    ignore_file = root / IGNORE_FILE
    rules = IgnoreRules(ignore_file.read_text() if ignore_file.is_file() else "")
    # Each folder comes with the real folders above it, by which a link that leads round in a circle shows.
    pending: list[tuple[Path, str, tuple[Path, ...]]] = [(root, "", (root,))]
    while pending:
        folder, prefix, above = pending.pop()
        for entry in sorted(folder.iterdir()):
            name = f"{prefix}{entry.name}"
            if rules.ignores(name, folder=entry.is_dir()):
                continue
            real = _real_path(root, entry, name)
            if real.is_dir():
                if real in above:
                    raise InvalidInput(f"{entry} is a link to a folder that contains it", hint=_exclude(name))
                pending.append((entry, f"{name}/", (*above, real)))
            elif real.is_file():
                yield name, real
            else:
                raise InvalidInput(f"{entry} is neither a file nor a folder", hint=_exclude(name))


def _real_path(root: Path, entry: Path, name: str) -> Path:
    try:
        real = entry.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise InvalidInput(f"{entry} is a link that leads nowhere", hint=_exclude(name)) from error
    if not real.is_relative_to(root):
        raise InvalidInput(
            f"{entry} is a link to {real}, outside of the code folder",
            hint=f"Copy the file into the folder. {_exclude(name)}",
        )
    return real


def _exclude(name: str) -> str:
    return f"If it is not needed, add the line /{name} to {IGNORE_FILE}."


def _check_size(root: Path, found: dict[str, Path], limit_bytes: int) -> None:
    sizes = {name: path.stat().st_size for name, path in found.items()}
    total = sum(sizes.values())
    if total <= limit_bytes:
        return
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:5]
    listed = "\n".join(f"    {sizes[name] / 1e6:10.1f} MB  {name}" for name in largest)
    raise InvalidInput(
        f"the code in {root} has {total / 1e6:.1f} MB in {len(sizes)} files, "
        f"more than the {limit_bytes / 1e6:.1f} MB that are kept with a run; the largest:\n{listed}",
        hint=f"Keep data out of the code folder, or name it in {root / IGNORE_FILE}.",
    )


def _extract(data: bytes, folder: Path) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for member in tar:
                _extract_member(tar, member, folder)
    except tarfile.TarError as error:
        raise InvalidInput(f"the code archive is not a tar file: {error}") from error


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in member.name:
        raise InvalidInput(f"the code archive is refused: {member.name!r} would leave its folder")
    if member.isdir():
        (folder / path).mkdir(parents=True, exist_ok=True)
        return
    content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
    if content is None:
        raise InvalidInput(f"the code archive is refused: {member.name!r} is not a plain file")
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive: an archive that names a file twice is not one that `pack` made.
        descriptor = os.open(
            target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if member.mode & stat.S_IXUSR else 0o644
        )
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidInput(f"the code archive is refused: {member.name!r} is in it twice") from error
    with os.fdopen(descriptor, "wb") as out:
        shutil.copyfileobj(content, out)
