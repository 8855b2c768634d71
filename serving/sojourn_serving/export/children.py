"""Runs the two child processes of an export, and turns what they say into errors that people can act on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sojourn.errors import SojournError

_CHECK = Path(__file__).with_name("check.py")
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
_LINES_SHOWN = 15


class ExportFailed(SojournError):
    """A model could not be rebuilt, written, or loaded again. `code` is the exit code that the cause asks for."""

    def __init__(self, message: str, *, hint: str = "", code: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = code


def build_files(request: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Run child.py on a request; return the model's description (`ModelRecord.to_json`).

    Raises:
        ExportFailed: with the child's own message, or the end of its output where it died.
    """
    asked, answer = scratch / "request.json", scratch / "answer.json"
    asked.write_text(json.dumps(request))
    log = _run(["-m", "sojourn_serving.export.child", str(asked), str(answer)])
    if not answer.exists():
        raise ExportFailed("the process that builds the export failed", hint=log)
    said = json.loads(answer.read_text())
    if error := said.get("error"):
        raise ExportFailed(**error)
    model: dict[str, Any] = said["model"]
    return model


def load_again(folder: Path, model: dict[str, Any], formats: Sequence[str], scratch: Path) -> dict[str, float]:
    """Run check.py, which has only TensorFlow, on the files; return the largest difference of each format.

    Raises:
        ExportFailed: a format cannot be loaded, or answers the golden inputs otherwise.
    """
    description, answer = scratch / "description.json", scratch / "check.json"
    description.write_text(json.dumps({**model, "formats": list(formats)}))
    log = _run(["-I", str(_CHECK), str(folder), str(description), str(answer)])
    if not answer.exists():
        raise ExportFailed("the process that loads the export again failed", hint=log)
    results: dict[str, float | str] = json.loads(answer.read_text())
    for name, result in results.items():
        if isinstance(result, str):
            raise ExportFailed(
                f"the {name} export does not stand the test: loaded with TensorFlow alone, {result}",
                hint="Nothing was exported. Models whose answers are random cannot be checked, nor exported.",
            )
    return {name: float(result) for name, result in results.items()}


def _run(arguments: Sequence[str]) -> str:
    """Run Python; return the end of what it wrote."""
    process = subprocess.run(
        [sys.executable, *arguments],
        env={**_QUIET, **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = process.stdout.decode(errors="replace").splitlines()[-_LINES_SHOWN:]
    return "\n".join([f"It ended with code {process.returncode}; its last words:", *lines])
