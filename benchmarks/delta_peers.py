"""What the peers of the delta benchmark take for a folder of shards when they have the older one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"rsync": "rsync", "zstd": "zstd", "restic": "restic", "borg": "borgbackup"}


@dataclass(frozen=True, slots=True)
class Took:
    """Bytes that go to the other side, and seconds."""

    bytes: int
    seconds: float


def _run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (command, done.stderr[-2000:])
    return done.stdout


def rsync(old: Path, new: Path, work: Path, *options: str) -> Took:
    """Both ends by a pipe; bytes both ways, as it counts them."""
    there = work / "there"
    shutil.copytree(old, there)
    began = time.perf_counter()
    # Sizes and times of neighbouring checkpoints may be equal.
    said = _run("rsync", "-rI", "--inplace", "--no-whole-file", "--stats", *options, f"{new}/", f"{there}/")
    seconds = time.perf_counter() - began
    both = (re.search(rf"Total bytes {way}: ([\d,]+)", said) for way in ("sent", "received"))
    return Took(sum(int(found[1].replace(",", "")) for found in both if found), seconds)


def rsync_zstd(old: Path, new: Path, work: Path) -> Took:
    """The same with its own compression by zstd."""
    return rsync(old, new, work, "-z", "--zc=zstd")


def zstd_patch(old: Path, new: Path, work: Path) -> Took:
    """A patch for each file."""
    began, size = time.perf_counter(), 0
    for path in sorted(new.iterdir()):
        patch = work / f"{path.name}.zst"
        _run("zstd", "-q", "-3", "--long=27", f"--patch-from={old / path.name}", path, "-o", patch)
        size += patch.stat().st_size
    return Took(size, time.perf_counter() - began)


def restic(old: Path, new: Path, work: Path) -> Took:
    """What the repository grows by at the second backup."""
    repository = work / "restic"
    common = ("restic", "--quiet", "--no-cache", f"--repo={repository}")
    secret = {"RESTIC_PASSWORD": "bench"}
    _run(*common, "init", "--repository-version=2", **secret)
    _run(*common, "backup", ".", cwd=old, **secret)
    return _growth(repository, lambda: _run(*common, "backup", ".", cwd=new, **secret))


def borg(old: Path, new: Path, work: Path) -> Took:
    """The same, with zstd."""
    repository = work / "borg"
    settings = {"BORG_BASE_DIR": str(work), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
    _run("borg", "init", "--encryption=none", repository, **settings)
    create = ("borg", "create", "--compression=zstd,3")
    _run(*create, f"{repository}::old", ".", cwd=old, **settings)
    return _growth(repository, lambda: _run(*create, f"{repository}::new", ".", cwd=new, **settings))


def _growth(folder: Path, act: object) -> Took:
    before, began = _size(folder), time.perf_counter()
    assert callable(act)
    act()
    return Took(_size(folder) - before, time.perf_counter() - began)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


PEERS = {
    "rsync --inplace": rsync,
    "rsync -z": rsync_zstd,
    "zstd --patch-from": zstd_patch,
    "restic": restic,
    "borg": borg,
}
