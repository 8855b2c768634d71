"""Folders for tests that sync thousands of files: in memory where the machine has such a file system."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on a real file system where fsync costs little."""
    if not os.access(_SHARED_MEMORY, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="sojourn-", dir=_SHARED_MEMORY))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
