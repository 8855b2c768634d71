"""What a client did wrong, with the HTTP status that TensorFlow Serving and the Open Inference Protocol give."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class RequestError(Exception):
    """A request that cannot be answered; rendered as ``{"error": message}`` by both protocols.

    Args:
        message: what is wrong, where in the request, and what was expected.
        status: HTTP status code.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for a likely typo, else an empty string."""
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def listing(names: Iterable[str]) -> str:
    """Names for a message, quoted and in order; "none" where there are none."""
    return ", ".join(repr(name) for name in names) or "none"
