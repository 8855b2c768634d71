"""Listing a directory tree in the order in which object stores list keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sojourn.store.base import ObjectInfo
from sojourn.store.keys import TEMP_PREFIX, join


def walk(root: Path, folder: str, start_after: str) -> Iterator[ObjectInfo]:
    """Files below `root/folder` whose key is greater than `start_after`, in the order of their whole keys.

    Folders whose keys all come before `start_after` are not opened; files that vanish meanwhile are left out.
    """
    for name, entry in _sorted_entries(root / folder):
        key = join(folder, name)
        if name.endswith("/"):
            if key > start_after or start_after.startswith(key):
                yield from walk(root, key.removesuffix("/"), start_after)
        elif key > start_after:
            try:
                yield ObjectInfo(key, entry.stat().st_size)
            except FileNotFoundError:
                continue


def holds_object(path: Path) -> bool:
    """Whether any file that is not temporary lies below the folder `path`."""
    folders = [path]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir():
                        folders.append(Path(entry.path))
                    elif not entry.name.startswith(TEMP_PREFIX):
                        return True
        except FileNotFoundError:
            continue
    return False


def _sorted_entries(path: Path) -> list[tuple[str, os.DirEntry[str]]]:
    # A folder sorts as "name/", as its objects' keys do: "a-b" < "a/x" although "a" < "a-b".
    try:
        with os.scandir(path) as entries:
            named = [
                (f"{entry.name}/" if entry.is_dir() else entry.name, entry)
                for entry in entries
                if not entry.name.startswith(TEMP_PREFIX)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(named, key=lambda item: item[0])
