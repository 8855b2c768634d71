"""Child processes that end with their parent, each in a process group of its own."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG = 1


def start_child(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    stderr: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output in a pipe; on Linux it gets SIGTERM when its parent dies."""
    return subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - one C call that takes no lock
    )


def stop_group(process: subprocess.Popen[bytes], number: int, grace_seconds: float) -> None:
    """Send a signal to a child, wait, and kill what is left of its group."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
