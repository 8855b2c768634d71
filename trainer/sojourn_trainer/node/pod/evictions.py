"""The list of pods that are being taken away and wait for a checkpoint, which several pods write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any

from sojourn.incluster import Conflict, ObjectClient

log = logging.getLogger(__name__)

Entry = dict[str, Any]


def add_eviction(client: ObjectClient, pod: str, time: str) -> None:
    """Say that this pod was told to stop. Raises ApiError."""
    _change(client, lambda entries: [*(entry for entry in entries if entry["pod"] != pod), {"pod": pod, "time": time}])


def remove_evictions(client: ObjectClient, pods: Collection[str]) -> None:
    """Say that these pods need wait no longer. Raises ApiError."""
    _change(client, lambda entries: [entry for entry in entries if entry["pod"] not in pods])


def evicted_pods(found: dict[str, Any]) -> list[str]:
    """Pods that wait, from a TrainingAttempt."""
    return [entry["pod"] for entry in found.get("status", {}).get("evicted", ())]


def _change(client: ObjectClient, change: Callable[[list[Entry]], list[Entry]]) -> None:
    """Replace the list, based on what it is at this moment: a merge patch would lose what others add meanwhile."""
    while True:
        found = client.get()
        before = list(found.get("status", {}).get("evicted", ()))
        after = change(before)
        if after == before:
            return
        try:
            client.patch_status({"evicted": after}, found["metadata"]["resourceVersion"])
            return
        except Conflict:
            log.debug("status.evicted changed meanwhile")
