"""What became of a mover's Job: the result that a pod left, how the Job ended, why a pod does not start (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sojourn_operator.movers.names import CONTAINER
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.objects import Object, is_being_deleted

_STARTING = ("ContainerCreating", "PodInitializing", "")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A condition's reason and message."""

    reason: str
    message: str


def pods_of(pods: Iterable[Object], job: Object) -> list[Object]:
    """A Job's pods, newest first."""
    uid = job["metadata"]["uid"]
    mine = [pod for pod in pods if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences", ()))]
    return sorted(mine, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)


def result(pod: Object) -> Mapping[str, Any] | None:
    """The JSON object that the pod's container left as its last word, None if there is none (yet)."""
    message = _state(pod).get("terminated", {}).get("message", "")
    try:
        found = json.loads(message)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def last_words(pod: Object) -> str:
    """What the container said at its end, for people."""
    terminated = _state(pod).get("terminated", {})
    said = str(terminated.get("message") or pod.get("status", {}).get("message") or terminated.get("reason") or "")
    return said.strip()[-1024:]


def is_running(pod: Object) -> bool:
    """Whether its container runs."""
    return "running" in _state(pod)


def is_over(pod: Object) -> bool:
    """Whether nothing of it runs any more."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_alive(pod: Object) -> bool:
    """Whether it runs or may yet, and nobody asked for its end."""
    return not is_over(pod) and not is_being_deleted(pod)


def job_end(job: Object) -> tuple[str, str]:
    """("Complete" or "Failed", why), or ("", "") while it goes on."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return condition["type"], f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    return "", ""


def ended_for(job: Object, now: datetime) -> timedelta:
    """How long ago a Job ended."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["type"] in ("Complete", "Failed") and "lastTransitionTime" in condition:
            return now - parse_rfc3339(condition["lastTransitionTime"])
    return timedelta(0)


def why_waiting(pod: Object) -> Trouble | None:
    """Why its container does not start, if something is in the way."""
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Trouble(condition.get("reason", "Unschedulable"), condition.get("message", ""))
    waiting = _state(pod).get("waiting", {})
    reason = waiting.get("reason", "")
    return None if reason in _STARTING else Trouble(reason, waiting.get("message", ""))


def _state(pod: Object) -> Mapping[str, Any]:
    for container in pod.get("status", {}).get("containerStatuses", ()):
        if container["name"] == CONTAINER:
            state: Mapping[str, Any] = container.get("state", {})
            return state
    return {}
