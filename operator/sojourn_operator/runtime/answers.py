"""An API server's refusals as the errors that reconcilers know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sojourn_operator.runtime.port import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    Missing,
    Throttled,
    Unauthorized,
    Unavailable,
)

DEFAULT_RETRY_AFTER = 1.0


def error_of(what: str, code: int, body: bytes, headers: Mapping[str, str]) -> ClusterError:
    """The error for an answer with this HTTP status; `what` says which request it was."""
    status = _status(body)
    message = f"{what}: {status.get('message') or body[:200].decode(errors='replace') or code}"
    reason = status.get("reason", "")
    if code == 429:
        return Throttled(message, retry_after=_retry_after(headers))
    if code == 409:
        return AlreadyExists(message) if reason == "AlreadyExists" else Conflict(message)
    if code == 403:
        return _forbidden(message, status)
    kind = _BY_CODE.get(code, Unavailable if code >= 500 else Invalid)
    return kind(message)


_BY_CODE: Mapping[int, type[ClusterError]] = {401: Unauthorized, 404: Missing, 405: Missing, 410: Expired}


def _forbidden(message: str, status: Mapping[str, Any]) -> ClusterError:
    causes = (status.get("details") or {}).get("causes") or ()
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return Missing(message)
    # Quotas and admission policies answer 403 as well; only an authorizer's answer begins with who asked.
    return Forbidden(message) if "is forbidden: User " in message else Invalid(message)


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(float(headers.get("Retry-After", DEFAULT_RETRY_AFTER)), 0.0)
    except ValueError:
        return DEFAULT_RETRY_AFTER
