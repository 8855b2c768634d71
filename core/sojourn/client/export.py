"""Export a run's model, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sojourn.client.child import error_of, kept_lines, start
from sojourn.client.extras import require
from sojourn.client.settings import Settings
from sojourn.client.stores import existing_store


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export.

    Attributes:
        run: name of the run.
        version: of the export, from 1.
        step: of the checkpoint.
        folder: address of the files.
        digest: of the export's manifest, as the run's log names it.
        manifest: that manifest: formats, inputs and outputs of the model, golden samples.
        differences: of each format's outputs to the golden ones, the largest.
    """

    run: str
    version: int
    step: int
    folder: str
    digest: str
    manifest: Mapping[str, Any] = field(repr=False)
    differences: Mapping[str, float]


def export(
    run: str,
    *,
    store: str | Path | None = None,
    formats: Sequence[str] = ("savedmodel",),
    progress: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Export the model of a run's checkpoint; returns when the run's log names it.

    Args:
        run: a checkpoint's address: "digits", "digits@best", "digits@1200".
        store: folder or address of the store; by default SOJOURN_STORE, else the folder sojourn-runs.
        formats: "savedmodel", "keras", "h5".
        progress: called with a line when a stage begins, from a background thread.

    Raises:
        InvalidInput: there is no such format.
        Refused: the run was handed over.
        SojournError: no such run, the model cannot be rebuilt, or the packages for serving are not installed.
    """
    require("serving", ("sojourn_serving", "tensorflow"), "Exporting")
    settings = Settings.load()
    address = existing_store(store, settings).uri
    arguments = [run, "--store", address, "--format", ",".join(formats), "--output", "json"]
    process = start("export", arguments, settings.environment, stderr=subprocess.PIPE)
    lines = kept_lines()

    def follow() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line.rstrip("\n"))
            progress(lines[-1])

    reader = threading.Thread(target=follow, name="sojourn-export", daemon=True)
    reader.start()
    try:
        assert process.stdout is not None
        printed = process.stdout.read()
        code = process.wait()
    except BaseException:
        process.terminate()
        raise
    reader.join()
    if code != 0:
        raise error_of("export", code, list(lines))
    found = json.loads(printed)
    manifest = found["manifest"]
    return Exported(
        run=manifest["run"],
        version=manifest["version"],
        step=manifest["step"],
        folder=found["folder"],
        digest=found["entry"]["manifest"],
        manifest=MappingProxyType(manifest),
        differences=MappingProxyType(found["differences"]),
    )
