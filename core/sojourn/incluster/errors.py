"""What can go wrong between a pod and the API server, told apart by what the caller can do about it."""

from __future__ import annotations

from sojourn.errors import SojournError


class ApiError(SojournError):
    """The API server refused a request. `status` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ApiUnavailable(ApiError):
    """The API server cannot be reached, or is overloaded: the same request may succeed later."""


class ObjectGone(ApiError):
    """The object does not exist, or no longer."""


class Conflict(ApiError):
    """The object has changed since the resource version that the request is based on: get it and decide again."""


class VersionExpired(ApiError):
    """The resource version is too old to watch from: get the object again."""
