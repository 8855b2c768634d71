"""What the demo's acts are made of: announcing, running commands as a user would type them, watching, killing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from sojourn.errors import NotFound
from sojourn.runlog.runs import find_run
from sojourn.store.open import open_store

WAIT_SECONDS = 180
_BOLD, _DIM, _OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class DemoFailed(Exception):
    """An act did not go as it must."""


class Stage:
    """Prints the acts and keeps their times; `folder` holds everything that the demo makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.times: list[tuple[str, float]] = []
        self._begun = time.monotonic()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def act(self, title: str) -> None:
        """Begin an act."""
        self._note_time()
        self.times.append((title, 0.0))
        print(f"\n{_BOLD}Act {len(self.times)}. {title}{_OFF}", flush=True)

    def finish(self) -> None:
        """Print how long each act took."""
        self._note_time()
        print(f"\n{_BOLD}How long it took{_OFF}")
        for title, seconds in self.times:
            print(f"  {seconds:6.1f} s  {title}")
        print(f"  {sum(seconds for _, seconds in self.times):6.1f} s  in all", flush=True)

    def say(self, text: str) -> None:
        """One line of comment."""
        print(f"  {text}", flush=True)

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """Start `sojourn ...`; its output is passed on as it comes."""
        print(f"  $ {' '.join(['sojourn', *arguments])}", flush=True)
        return subprocess.Popen(
            [sys.executable, "-m", "sojourn", *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def follow(
        self, process: subprocess.Popen[str], *, expect: int = 0, when: Callable[[str], None] | None = None
    ) -> list[str]:
        """Print a command's output to its end; `when` sees every line and may act on it."""
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            print(f"    {_DIM}{lines[-1]}{_OFF}", flush=True)
            if when is not None:
                when(lines[-1])
        if process.wait() != expect:
            raise DemoFailed(f"expected exit code {expect}, got {process.returncode}")
        return lines

    def run(self, *arguments: str, expect: int = 0) -> list[str]:
        """Run `sojourn ...` to its end."""
        return self.follow(self.start(arguments), expect=expect)

    def _note_time(self) -> None:
        if self.times:
            spent = time.monotonic() - self._begun - sum(seconds for _, seconds in self.times)
            self.times[-1] = (self.times[-1][0], spent)


def committed_step(store: Path, name: str) -> int:
    """Step of a run's newest checkpoint, 0 before the first."""
    with suppress(NotFound):
        latest = find_run(open_store(str(store)), name).state.latest
        return latest.step if latest is not None else 0
    return 0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {WAIT_SECONDS} s in vain for {what}")
        time.sleep(0.05)


def kill_a_worker(ancestor: int) -> int:
    """Kill one of Ray Train's workers below a process, the way a machine that dies does; returns its id."""
    workers = [pid for pid in _below(ancestor) if b"RayTrainWorker" in _command(pid)]
    if not workers:
        raise DemoFailed("no worker process was found")
    os.kill(workers[-1], signal.SIGKILL)
    return workers[-1]


def _below(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, open_ends = [], [pid]
    while open_ends:
        below = children.get(open_ends.pop(), [])
        found += below
        open_ends += below
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
