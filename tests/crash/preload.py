"""The library of preload.c: building it, starting a process with it, and steering it from within that process."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("preload.c")
_COMPILE = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC")
_VARIABLE = "SOJOURN_TEST_PRELOAD"
FOR_EVER = 1 << 62


class NotHere(Exception):
    """The library cannot be built on this machine."""


class Action(IntEnum):
    """What befalls a call."""

    NOTHING = 0
    KILL = 1
    TEAR = 2
    """Half of the bytes are written, then the process is killed."""
    FAIL = 3
    FAIL_LATE = 4
    """It does its work and says that it failed."""
    HALF = 5
    SLOW = 6


class Kind(IntFlag):
    """What a call does to the watched folders."""

    READS = 1
    MAKES = 2
    WRITES = 4
    SYNCS = 8
    REMOVES = 16
    CLOSES = 32

    CHANGES = MAKES | WRITES | REMOVES
    ALL = CHANGES | READS | SYNCS | CLOSES


@dataclass(frozen=True, slots=True)
class Call:
    """One call on a watched folder. `about` depends on the call: a path, or file number, path, offset, bytes."""

    number: int
    name: str
    kind: Kind
    result: int
    error: int
    about: tuple[str, ...]

    @property
    def changes(self) -> bool:
        return bool(self.kind & Kind.CHANGES) and self.result >= 0


def build(folder: Path) -> Path:
    """Compile the library into `folder`. Raises NotHere without a compiler, or on another kind of machine."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux") or sys.maxsize < 2**32:
        raise NotHere("needs gcc on a 64-bit Linux (apt-get install gcc libc6-dev)")
    library = folder / "preload.so"
    subprocess.run([compiler, *_COMPILE, "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


def environment(library: Path) -> dict[str, str]:
    """Of a process that is to have it: also, no numeric library starts threads, which a fork would lose."""
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    loaded = {"LD_PRELOAD": str(library), _VARIABLE: str(library), "PYTHONPATH": path}
    return os.environ | single | loaded


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ[_VARIABLE])
    library.preload_watch.argtypes = [ctypes.c_char_p]
    library.preload_arm.argtypes = [
        ctypes.c_long,
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    library.preload_count.restype = ctypes.c_long
    return library


def arm(first: int, last: int, action: Action, *, error: int = 0, kinds: Kind = Kind.ALL, delay_ms: int = 0) -> None:
    """Let `action` befall the calls from `first` to `last` (counted from 1) that are of one of `kinds`."""
    _library().preload_arm(first, last, action, error, kinds, delay_ms)


def disarm() -> None:
    arm(0, 0, Action.NOTHING)


@contextmanager
def watched(folders: Sequence[Path]) -> Iterator[None]:
    """Calls below `folders` count in the block."""
    for folder in folders:
        _library().preload_watch(os.fsencode(folder))
    try:
        yield
    finally:
        _library().preload_watch(None)


def count() -> int:
    """Calls on watched folders so far."""
    return int(_library().preload_count())


@contextmanager
def noted(file: Path, *, data: bool = False) -> Iterator[None]:
    """Write every call on watched folders to `file`, with the bytes that are written if `data`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    _library().preload_note(descriptor, data)
    try:
        yield
    finally:
        _library().preload_note(-1, 0)
        os.close(descriptor)


def mark(text: str) -> None:
    """Write a line of one's own between the noted calls; it is the `about` of a call named "mark"."""
    _library().preload_mark(text.encode())


def read_notes(file: Path) -> list[Call]:
    """The calls that `noted` wrote."""
    rows = [line.split("\t") for line in file.read_text().splitlines()]
    return [
        Call(int(number), name, Kind(int(kind)), int(result), int(error), tuple(about))
        for number, name, kind, result, error, *about in rows
    ]
