"""Running other programs: their error output becomes the message of the exception."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path


class ClusterError(RuntimeError):
    """The test clusters could not do what was asked; the message says which command failed, and how."""


def run(
    *command: str | Path,
    stdin: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 1800,
) -> str:
    """Run a command to its end and return its standard output.

    Raises:
        ClusterError: it failed, was not found, or took longer than `timeout` seconds.
    """
    argv = [str(part) for part in command]
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            argv,
            input=data,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=timeout,
            capture_output=True,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"{' '.join(argv)}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ClusterError(f"{' '.join(argv)} ended with {done.returncode}: {said[-4000:]}")
    return done.stdout.decode(errors="replace")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60, pause: float = 0.1) -> None:
    """Poll until the condition holds.

    Raises:
        ClusterError: it did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(pause)
