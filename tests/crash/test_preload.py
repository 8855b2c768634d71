"""The library that strikes must see every call that the kernel sees: held against strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from crash.matrix import read_lines
from crash.preload import environment

_NAMES = {
    "openat": "open",
    "opendir": "open",
    "pwrite64": "write",
    "pread64": "read",
    "newfstatat": "stat",
    "fstatat": "stat",
    "lstat": "stat",
    "stat64": "stat",
    "lstat64": "stat",
    "fstat64": "fstat",
    "linkat": "link",
    "renameat2": "rename",
    "unlinkat": "unlink",
    "rmdir": "unlink",
    "mkdirat": "mkdir",
}
_COMPARED = {"open", "write", "read", "link", "rename", "unlink", "mkdir", "fsync", "fdatasync", "ftruncate", "lseek"}


@pytest.mark.parametrize("story", ["train", "move again"])
def test_the_library_sees_what_the_kernel_sees(story: str, library: Path, fast_folder: Path, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if not strace or subprocess.run([strace, "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace is not installed, or may not trace here (apt-get install strace)")
    trace = tmp_path / "trace"
    program = [sys.executable, "-m", "crash.strikes", story, str(fast_folder), "--rehearse"]
    command = [strace, "-f", "-y", "-s", "0", "-e", "trace=file,desc", "-o", str(trace), *program]
    done = subprocess.run(command, env=environment(library), check=True, stdout=subprocess.PIPE, text=True)
    seen = [_NAMES.get(call["name"], call["name"]) for call in read_lines(done.stdout)]
    assert len(seen) > 200
    assert Counter(name for name in seen if name in _COMPARED) == _kernel(trace, fast_folder / story / "world")


def _kernel(trace: Path, world: Path) -> Counter[str]:
    """The kernel's calls below `world` since the process that plays opened the file for its notes."""
    names = []
    playing = False
    for line in trace.read_text().splitlines():
        playing = playing or f"{world.parent}/notes" in line
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        # SEEK_CUR is the library's own: it writes down where a write goes.
        if playing and match and re.search(rf"{world}[/\">]", match[2]) and "SEEK_CUR" not in line:
            names.append(_NAMES.get(match[1], match[1]))
    return Counter(name for name in names if name in _COMPARED)
