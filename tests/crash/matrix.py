"""Starting the programs that strike, with the library of preload.c, and reading what they print."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crash.preload import environment


def run(module: str, arguments: Sequence[str], library: Path) -> list[dict[str, Any]]:
    """The JSON lines that `python -m module` printed. Raises CalledProcessError if it broke."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment(library), check=True, stdout=subprocess.PIPE, text=True)
    return read_lines(done.stdout)


def read_lines(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a text with one in each line."""
    return [json.loads(line) for line in text.splitlines()]
