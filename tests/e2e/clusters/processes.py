"""Finds the processes of the test clusters by an argument that only they have.

No file of process ids: after a crash, or when `up` was killed half-way, the process table still tells the truth.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from e2e.clusters.commands import wait_until

# Nothing of this machine's environment (proxies, credentials) is passed on.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}


def with_argument(argument: str) -> dict[int, list[str]]:
    """Process id to command line of every live process that has exactly this argument."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and argument in (argv := _command_line(int(entry.name))):
            found[int(entry.name)] = argv
    return found


def start(
    command: list[str], log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, with its output in a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**ENVIRONMENT, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )


def end(argument: str) -> None:
    """Kill every process with this argument and wait until all are gone."""

    def gone() -> bool:
        found = with_argument(argument)
        for pid in found:
            kill(pid, argument)
        return not found

    wait_until(gone, f"processes with argument {argument} end", seconds=30)


def kill(pid: int, argument: str) -> None:
    """Kill a process if it (still) has this argument."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # The id may have gone to another process since it was found; the handle cannot.
        if argument in _command_line(pid):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []
