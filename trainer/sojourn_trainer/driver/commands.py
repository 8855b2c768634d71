"""What the supervisor says to a running driver, one JSON object per line on the driver's standard input."""

from __future__ import annotations

import json
import os
import queue
import threading
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal["stop", "checkpoint", "leaving"]


@dataclass(frozen=True, slots=True)
class Command:
    """One order.

    Attributes:
        kind: stop (commit, then end), checkpoint (now), or leaving: a machine will go, so commit what there is.
        reason: why to stop; the token of the checkpoint, which the commit that answers it names.
        host: the machine's name, for `leaving`.
    """

    kind: Kind
    reason: str
    host: str = ""

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
