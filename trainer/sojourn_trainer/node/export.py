"""Exports a completed run, by the serving side's own command in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence

from sojourn import events
from sojourn.errors import SojournError
from sojourn_trainer.workers.assignment import RunRef


def export_run(run: RunRef, formats: Sequence[str]) -> events.Exported:
    """Export the newest checkpoint of a run in these formats.

    Raises:
        SojournError: the export failed; the message is that of the command.
    """
    begun = time.monotonic()
    command = [
        *(sys.executable, "-m", "sojourn", "export", run.prefix, "--store", run.store),
        *("--format", ",".join(name.lower() for name in formats), "-o", "json"),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SojournError(
            f"the run is complete, and its export failed: {done.stderr.strip()[-1500:]}",
            hint=f"Try again with: sojourn export {run.prefix} --store {run.store}",
        )
    entry = json.loads(done.stdout)["entry"]
    return events.Exported(
        time=time.time(),
        version=entry["version"],
        formats=tuple(formats),
        seconds=time.monotonic() - begun,
        step=entry["step"],
        manifest=entry["manifest"],
    )
