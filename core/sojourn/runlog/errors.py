"""What a run's log refuses, and why."""

from __future__ import annotations

from sojourn.errors import Refused


class Fenced(Refused):
    """The run was handed over: it goes on elsewhere, and nothing may train or commit here."""


class StaleTerm(Refused):
    """A newer attempt began, so this one may no longer commit."""


class MovedOn(Refused):
    """The log grew past the point on which a fence or a takeover was decided."""


class Pinned(Refused):
    """What was to be retired is held by a reader."""


class RunExists(Refused):
    """Another run has this prefix already."""


class UnsupportedLog(Refused):
    """The log was written by a newer Sojourn, with entries that this one does not know."""
