"""The errors that people meet. Each says what went wrong, where, and what to do next."""

from __future__ import annotations


class SojournError(Exception):
    """Base of every error that Sojourn raises on purpose.

    Args:
        message: what went wrong and where, one sentence.
        hint: what the reader can do about it, or "" where nothing sensible can be said.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class InvalidInput(SojournError):
    """A manifest, an address or an option that cannot be accepted as it is."""

    exit_code = 2


class NotFound(SojournError):
    """The named run, checkpoint, export or object does not exist."""


class Refused(SojournError):
    """The request is understood, and the run's log forbids it (fenced, outdated term, pinned)."""

    exit_code = 4


class StoreError(SojournError):
    """A store could not do what was asked: unreachable, full, or unfit to hold runs."""


class CorruptData(SojournError):
    """Stored bytes do not match the digest that the log or a manifest gives for them."""

    exit_code = 5
