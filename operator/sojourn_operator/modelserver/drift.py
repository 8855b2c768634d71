"""Whether an object still is what was asked for, so that what is right is not written again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def holds(live: Any, wanted: Any) -> bool:
    """Whether `live` has all that `wanted` says; what the API server and others added does not matter."""
    # Empty and absent are the same to the API server.
    if live is None and (wanted in ("", 0, False) or (isinstance(wanted, Mapping | list | tuple) and not wanted)):
        return True
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(holds(live.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(live, list | tuple)
            and len(live) == len(wanted)
            and all(holds(mine, value) for mine, value in zip(live, wanted, strict=True))
        )
    return bool(live == wanted)
