"""What the supervisor says to a running driver, one JSON object per line on the driver's standard input."""

from __future__ import annotations

import json
import os
import queue
import threading
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sojourn_trainer.driver.prepare import PreparedRun
from sojourn_trainer.workers.assignment import RunRef

Kind = Literal["stop", "checkpoint", "leaving", "begin"]


@dataclass(frozen=True, slots=True)
class Command:
    """One order.

    Attributes:
        kind: stop (commit, then end), checkpoint (now), leaving: a machine will go, so commit what there is; or
            begin: the run that a driver in standby has waited for.
        reason: why to stop; the token of the checkpoint, which the commit that answers it names.
        host: the machine's name, for `leaving`.
        run: a PreparedRun as plain data, for `begin`.
    """

    kind: Kind
    reason: str = ""
    host: str = ""
    run: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(cls, prepared: PreparedRun) -> Command:
        """Train this run."""
        return cls("begin", run=asdict(prepared))

    @property
    def prepared(self) -> PreparedRun:
        """The run of a `begin`."""
        return PreparedRun(**{**self.run, "run": RunRef(**self.run["run"])})

    def encode(self) -> bytes:
        """The command as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read_commands(descriptor: int) -> queue.SimpleQueue[Command]:
    """The commands that arrive at a file descriptor, read in a thread of their own until it ends."""
    found: queue.SimpleQueue[Command] = queue.SimpleQueue()

    def read() -> None:
        # Not through sys.stdin: a thread that waits with its lock held makes the interpreter's own end fail.
        rest = b""
        while data := os.read(descriptor, 1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                found.put(Command(**json.loads(line)))

    threading.Thread(target=read, name="commands", daemon=True).start()
    return found
