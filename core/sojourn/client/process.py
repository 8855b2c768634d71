"""The node process of a local run: its events are read in the background, and everything else goes to a log file."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from sojourn import events
from sojourn.events import Event, decode

DRAIN_SECONDS = 2.0


class NodeProcess:
    """A process in a session of its own, so that a terminal's Ctrl-C reaches only whoever watches it.

    Args:
        command: the program and its arguments.
        environment: its whole environment.
        log: the file for its standard error and for those lines of its standard output that are no events.
        publish: gets every event, from a background thread; None comes last, after the process has ended.
        clock: Unix seconds for the one event that is made here, the Failed of a process that died without one.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        publish: Callable[[Event | None], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.log = log
        self._publish = publish
        self._clock = clock
        self._ended = False
        self._log_file = log.open("ab", buffering=0)
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            env=dict(environment),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="sojourn-events", daemon=True)
        self._reader.start()
        threading.Thread(target=self._reap, name="sojourn-node", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id, which is its process group's id too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the signal that killed it, or None while it runs."""
        return self._process.returncode

    def terminate(self) -> None:
        """Ask it to commit a checkpoint and stop."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its children at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self) -> None:
        stream: IO[bytes] | None = self._process.stdout
        assert stream is not None
        for line in stream:
            event = decode(line.decode("utf-8", "replace"))
            if event is None:
                self._log_file.write(line)
            else:
                self._ended = self._ended or isinstance(event, events.Completed | events.Suspended | events.Failed)
                self._publish(event)

    def _reap(self) -> None:
        code = self._process.wait()
        # A grandchild that outlives the node may hold the pipe open: the end of the process counts, not of the pipe.
        self._reader.join(DRAIN_SECONDS)
        if code != 0 and not self._ended:
            self._publish(
                events.Failed(
                    time=self._clock(), message=f"The training process {_ending(code)}.", exit_code=exit_code(code)
                )
            )
        if not self._reader.is_alive():
            self._log_file.close()
        self._publish(None)


def exit_code(returncode: int) -> int:
    """A process's return code as shells give it: 128 + n for one that was killed by signal n."""
    return returncode if returncode >= 0 else 128 - returncode


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with exit code {returncode} and gave no reason"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"was killed by {name}"
