"""A file system that a test can really fill."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """An empty file system of this size ("4m") on a new folder; skips the test where it cannot be mounted."""
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("mounting a small tmpfs needs root")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        # Lazily: a process that is on its way out may still hold a file there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
