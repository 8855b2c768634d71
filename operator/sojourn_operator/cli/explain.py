"""What people can do about an API server's refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sojourn_operator.runtime.port import (
    ClusterError,
    Forbidden,
    Invalid,
    Missing,
    Throttled,
    Unauthorized,
    Unavailable,
)

INVALID = 2
_HINTS: tuple[tuple[type[ClusterError], str], ...] = (
    (Unauthorized, "The kubeconfig's login is not accepted, or no longer: log in again."),
    (
        Forbidden,
        "This login lacks the right: in namespace {namespace} the role edit is enough to work with jobs, view to look "
        "at them. --context chooses another login.",
    ),
    (Unavailable, "Is the cluster up, and the right one? --context and --kubeconfig choose another."),
    (Throttled, "The API server is busy: try again."),
    (Missing, "Does the namespace {namespace} exist? kubectl create namespace {namespace} makes it."),
)


@contextmanager
def explained(namespace: str) -> Iterator[None]:
    """Within the block, an API server's refusal gets a hint, and what it finds invalid the exit code for that."""
    try:
        yield
    except ClusterError as error:
        if not error.hint:
            hint = next((text for kind, text in _HINTS if isinstance(error, kind)), "")
            error.hint = hint.format(namespace=namespace)
        if isinstance(error, Invalid):
            error.exit_code = INVALID
        raise
