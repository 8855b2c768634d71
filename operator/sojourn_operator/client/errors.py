"""What goes wrong for people who work with a cluster, beside the errors of the API server itself."""

from __future__ import annotations

from sojourn.errors import SojournError


class JobFailed(SojournError):
    """A job, a migration or a rollout ended without success."""


class TimedOut(SojournError):
    """Waiting took too long. What was waited for goes on."""

    exit_code = 6


class NotInstalled(SojournError):
    """The cluster does not know Sojourn's kinds."""
