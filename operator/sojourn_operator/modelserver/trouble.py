"""Why pods do not become ready, as one reason and one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sojourn_operator.runtime.objects import Object


class Trouble(NamedTuple):
    """A CamelCase reason and a message for people."""

    reason: str
    message: str


def trouble_of(pods: Iterable[Object]) -> Trouble | None:
    """What keeps the pods from serving, or None where they merely start. A failure says more than a lack of room."""
    seen = list(pods)
    for look in (_failing, _unscheduled):
        for pod in seen:
            found = look(pod.get("status", {}))
            if found is not None:
                return Trouble(found.reason, f"pod {pod['metadata']['name']}: {found.message}"[:1024])
    return None


def _failing(status: dict[str, Any]) -> Trouble | None:
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return next(filter(None, map(_container, containers)), None)


def _container(status: dict[str, Any]) -> Trouble | None:
    waiting = status.get("state", {}).get("waiting", {})
    ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    if ended.get("exitCode"):
        return _ended(status["name"], ended)
    if waiting.get("reason", "PodInitializing") not in ("PodInitializing", "ContainerCreating"):
        return Trouble(waiting["reason"], waiting.get("message", ""))
    return None


def _ended(name: str, ended: dict[str, Any]) -> Trouble:
    text = str(ended.get("message", "")).strip()
    try:
        data = json.loads(text)
        return Trouble(data["reason"], f"{data['message']} {data.get('hint', '')}".strip())
    except (ValueError, LookupError, TypeError):
        last = text.splitlines()[-3:]
        return Trouble(
            "ContainerFailed", f"container {name} ended with exit code {ended['exitCode']}: {' '.join(last)}"
        )


def _unscheduled(status: dict[str, Any]) -> Trouble | None:
    for entry in status.get("conditions", ()):
        if entry["type"] == "PodScheduled" and entry["status"] == "False":
            return Trouble(entry.get("reason", "Unschedulable"), entry.get("message", ""))
    return None
