"""Sojourn: train TensorFlow on one cluster, carry the run to another, serve it there.

The functions and classes below load on first use, so that `import sojourn` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sojourn.client.compare import Comparison, Difference, compare
    from sojourn.client.handle import Handle, Outcome, RunFailed
    from sojourn.client.history import Chapter, History, history, runs
    from sojourn.client.run import run, wait
    from sojourn.client.transfer import TransferResult, copy, move
    from sojourn.client.verify import VerifyReport, verify

__version__ = "0.1.0"

_HOMES = {
    "sojourn.client.compare": ("Comparison", "Difference", "compare"),
    "sojourn.client.handle": ("Handle", "Outcome", "RunFailed"),
    "sojourn.client.history": ("Chapter", "History", "history", "runs"),
    "sojourn.client.run": ("run", "wait"),
    "sojourn.client.transfer": ("TransferResult", "copy", "move"),
    "sojourn.client.verify": ("VerifyReport", "verify"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Chapter",
    "Comparison",
    "Difference",
    "Handle",
    "History",
    "Outcome",
    "RunFailed",
    "TransferResult",
    "VerifyReport",
    "__version__",
    "compare",
    "copy",
    "history",
    "move",
    "run",
    "runs",
    "verify",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
