"""The files of a folder that is signed, and their digests."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sojourn.checkpoint.hashing import Span, digests
from sojourn.errors import CorruptData
from sojourn.signing.errors import BadSignature
from sojourn.signing.statement import SIGNATURE_FILE, Resource
from sojourn.store.base import Store
from sojourn.store.keys import TEMP_PREFIX, join
from sojourn.store.oserrors import store_error
from sojourn.store.posix import PosixStore

Progress = Callable[[int, int], None]
"""Called with the bytes checked so far and the bytes to check in all."""

SYMLINK_HINT = "A link can be pointed elsewhere after it was checked: put the file itself there."


def list_files(store: Store, folder: str) -> dict[str, int]:
    """Path within `folder` and size of every file there, but for the signature and unfinished temporary files.

    Raises:
        BadSignature: one of them is a symbolic link, which the format refuses unless it is told otherwise.
        StoreError: the store cannot be read.
    """
    if isinstance(store, PosixStore):
        found = _walk(store.root / folder)
    else:
        found = {info.key.removeprefix(join(folder, "")): info.size for info in store.list(folder)}
    found.pop(SIGNATURE_FILE, None)
    return found


def hash_files(
    store: Store,
    folder: str,
    wanted: Sequence[Resource],
    sizes: Mapping[str, int],
    progress: Progress,
    also: str = "",
) -> list[Resource | CorruptData]:
    """The resources with the digests of what is in the store. Raises StoreError.

    Args:
        sizes: bytes of each file, by its path.
        also: another hash, whose digest comes behind the one that is asked for.
    """
    ends = [sizes[item.path] if item.end is None else item.end for item in wanted]
    spans = [
        Span(join(folder, item.path), item.start, end - item.start, item.algorithm, also)
        for item, end in zip(wanted, ends, strict=True)
    ]
    total, done = sum(span.length for span in spans), 0

    def on_bytes(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    found: list[Resource | CorruptData] = []
    for item, span, digest in zip(wanted, spans, digests(store, spans, on_bytes), strict=True):
        if isinstance(digest, CorruptData):
            found.append(CorruptData(f"{span.key}: {digest.message}"))
        else:
            found.append(Resource(item.path, item.algorithm, digest, item.start, item.end))
    return found


def _walk(top: Path) -> dict[str, int]:
    found = {}
    folders = [(top, "")]
    while folders:
        path, prefix = folders.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.is_symlink():
                        raise BadSignature(f"{entry.path} is a symbolic link", hint=SYMLINK_HINT)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((Path(entry.path), f"{name}/"))
                    elif not entry.name.startswith(TEMP_PREFIX):
                        found[name] = entry.stat(follow_symlinks=False).st_size
        except OSError as error:
            raise store_error(error, path, "read") from error
    return found
