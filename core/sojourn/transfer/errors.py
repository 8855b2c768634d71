"""What only transfers raise."""

from __future__ import annotations

from sojourn.errors import SojournError


class LinkFailed(SojournError):
    """The other side could not be reached for a while; asked again, the transfer goes on where it stopped."""


class PeerFailed(SojournError):
    """The other side answered that it cannot do its part."""


class Interrupted(SojournError):
    """This side was asked to stop."""
