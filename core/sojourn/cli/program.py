"""How this process was called: as `sojourn`, or as kubectl's plugin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

PLUGIN: Final = "kubectl-sojourn"


def is_plugin(argv0: str) -> bool:
    """Whether kubectl, or a person in its place, has called us."""
    return Path(argv0).name.startswith("kubectl-")


def program_name(argv0: str) -> str:
    """How this process was called, as people type it: `sojourn` or `kubectl sojourn`."""
    return "kubectl sojourn" if is_plugin(argv0) else "sojourn"


def command_name() -> str:
    """The name of the program that a shell completes."""
    return PLUGIN if is_plugin(sys.argv[0]) else "sojourn"


def complete_variable() -> str:
    """The environment variable by which a completion script asks for what may follow."""
    return f"_{command_name()}_COMPLETE".replace("-", "_").upper()
