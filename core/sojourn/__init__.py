"""Sojourn: train TensorFlow on one cluster, carry the run to another, serve it there.

The functions and classes below load on first use, so that `import sojourn` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sojourn.checkpoint.verify import VerifyReport
    from sojourn.client.begin import init, validate
    from sojourn.client.chapter import Chapter
    from sojourn.client.chapters import History
    from sojourn.client.compare import Comparison, Difference, compare
    from sojourn.client.export import Exported, export
    from sojourn.client.handle import Handle, Outcome, RunFailed
    from sojourn.client.history import history, runs
    from sojourn.client.http import PredictFailed
    from sojourn.client.predict import Predictor, predict
    from sojourn.client.run import run, wait
    from sojourn.client.serve import Server, serve
    from sojourn.client.sign import sign, signer, trust
    from sojourn.client.transfer import copy, move
    from sojourn.client.verify import verify
    from sojourn.report.write import write_report
    from sojourn.transfer.copy import TransferResult

__version__ = "0.1.0"

_HOMES = {
    "sojourn.checkpoint.verify": ("VerifyReport",),
    "sojourn.client.begin": ("init", "validate"),
    "sojourn.client.compare": ("Comparison", "Difference", "compare"),
    "sojourn.client.export": ("Exported", "export"),
    "sojourn.client.handle": ("Handle", "Outcome", "RunFailed"),
    "sojourn.client.chapter": ("Chapter",),
    "sojourn.client.chapters": ("History",),
    "sojourn.client.history": ("history", "runs"),
    "sojourn.client.http": ("PredictFailed",),
    "sojourn.client.predict": ("Predictor", "predict"),
    "sojourn.client.run": ("run", "wait"),
    "sojourn.client.serve": ("Server", "serve"),
    "sojourn.client.sign": ("sign", "signer", "trust"),
    "sojourn.client.transfer": ("copy", "move"),
    "sojourn.client.verify": ("verify",),
    "sojourn.report.write": ("write_report",),
    "sojourn.transfer.copy": ("TransferResult",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Chapter",
    "Comparison",
    "Difference",
    "Exported",
    "Handle",
    "History",
    "Outcome",
    "PredictFailed",
    "Predictor",
    "RunFailed",
    "Server",
    "TransferResult",
    "VerifyReport",
    "__version__",
    "compare",
    "copy",
    "export",
    "history",
    "init",
    "move",
    "predict",
    "run",
    "runs",
    "serve",
    "sign",
    "signer",
    "trust",
    "validate",
    "verify",
    "wait",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
