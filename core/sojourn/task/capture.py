"""Lets somebody else get the model that a script would train.

A script builds its model and calls `fit(model, ...)`. Export needs the model and not the training: it runs the
script inside `capture()`, and `fit` hands the model over there, which ends the script at that point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sojourn.errors import InvalidInput


class _HandedOver(BaseException):
    """Ends the script. Not an Exception: a script's own `except Exception` must not swallow it."""


class CaptureBox:
    """Receives one model."""

    def __init__(self) -> None:
        self._model: Any = None
        self._details: Mapping[str, Any] = {}
        self.filled = False

    @property
    def model(self) -> Any:
        """The model. Raises InvalidInput when the script ended without training anything."""
        self._check()
        return self._model

    @property
    def details(self) -> Mapping[str, Any]:
        """Whatever else was given to `fit`, by name. Raises as `model`."""
        self._check()
        return self._details

    def put(self, model: Any, details: Mapping[str, Any]) -> None:
        self._model, self._details, self.filled = model, details, True

    def _check(self) -> None:
        if not self.filled:
            raise InvalidInput(
                "the script ended without calling fit(model, ...), so there is no model to take from it",
                hint="Call sojourn's fit on every path, or let the task return the model.",
            )


_BOX: ContextVar[CaptureBox | None] = ContextVar("sojourn_capture", default=None)


@contextmanager
def capture() -> Iterator[CaptureBox]:
    """Within the block, the first `hand_over` fills the box and leaves the block."""
    box = CaptureBox()
    token = _BOX.set(box)
    try:
        yield box
    except _HandedOver:
        return
    finally:
        _BOX.reset(token)


def capturing() -> bool:
    return _BOX.get() is not None


def hand_over(model: Any, **details: Any) -> None:
    """Called by `fit` first of all: returns at once when nobody captures, and does not return otherwise."""
    box = _BOX.get()
    if box is not None:
        box.put(model, details)
        raise _HandedOver
