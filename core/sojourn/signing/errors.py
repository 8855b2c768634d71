"""What can be wrong with a signature: it is missing, or it does not hold."""

from __future__ import annotations

from sojourn.errors import CorruptData


class BadSignature(CorruptData):
    """A signature is damaged, of other files, or by nobody who is trusted."""


class Unsigned(CorruptData):
    """A signature is demanded and there is none."""
