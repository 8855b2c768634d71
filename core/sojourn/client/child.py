"""A verb that runs in a process of its own, so that this one stays free of TensorFlow: its lines and its error."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from sojourn.client.process import exit_code
from sojourn.errors import CorruptData, InvalidInput, Refused, SojournError

KEPT_LINES: Final = 2000
_ERROR = "Error: "
_ERRORS: Final[Mapping[int, type[SojournError]]] = {
    error.exit_code: error for error in (InvalidInput, Refused, CorruptData)
}


def start(verb: str, arguments: Sequence[str], environment: Mapping[str, str], *, stderr: int) -> subprocess.Popen[str]:
    """Start a verb of the command line; its standard output is a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "sojourn.cli.main", verb, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        errors="replace",
        env={**environment, "PYTHONUNBUFFERED": "1"},
        # A terminal's Ctrl-C reaches only whoever waits for it.
        start_new_session=True,
    )


def kept_lines() -> deque[str]:
    """Where the last lines of a process are kept."""
    return deque(maxlen=KEPT_LINES)


def error_of(verb: str, returncode: int, lines: Sequence[str]) -> SojournError:
    """The error that a verb ended with, as it printed it; of the class that its exit code stands for."""
    code = exit_code(returncode)
    starts = [number for number, line in enumerate(lines) if line.startswith(_ERROR)]
    if not starts:
        said = "\n".join(lines[-10:])
        return SojournError(f"`sojourn {verb}` ended with exit code {code} and gave no reason", hint=said)
    message, *hints = lines[starts[-1] :]
    return _ERRORS.get(code, SojournError)(
        message.removeprefix(_ERROR), hint="\n".join(line.removeprefix("  ") for line in hints)
    )
