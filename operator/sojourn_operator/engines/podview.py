"""What the operator reads off a pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_operator.engines.names import CONTAINER
from sojourn_operator.runtime.objects import Object, is_being_deleted, uid_of

_ENDED = ("Succeeded", "Failed")
_STARTING = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod.

    Args:
        ended: it has stopped for good, in whatever way.
        disrupted: the cluster took it away (drain, preemption, lost node), so its end is no failure of the job.
        waiting: reason and message why its container does not start, "" where it does.
        exit_code: of the trainer's container, None while it runs or if it never did.
        last_words: what the container left behind as its end, at most 4096 characters.
    """

    name: str
    uid: str
    labels: Mapping[str, str]
    phase: str
    deleting: bool
    disrupted: bool
    waiting: tuple[str, str]
    exit_code: int | None
    termination_reason: str
    last_words: str

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.phase in _ENDED


def view_pod(pod: Object) -> PodView:
    """The view of a pod."""
    status: Mapping[str, Any] = pod.get("status", {})
    terminated = _container_state(status).get("terminated", {})
    return PodView(
        name=pod["metadata"]["name"],
        uid=uid_of(pod),
        labels=pod["metadata"].get("labels", {}),
        phase=status.get("phase", "Pending"),
        deleting=is_being_deleted(pod),
        disrupted=_is_true(status, "DisruptionTarget"),
        waiting=_waiting(status),
        exit_code=terminated.get("exitCode"),
        termination_reason=terminated.get("reason", status.get("reason", "")),
        last_words=terminated.get("message", status.get("message", "")).strip()[-4096:],
    )


def _container_state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses", ()):
        if container["name"] == CONTAINER:
            state: Mapping[str, Any] = container.get("state", {})
            return state
    return {}


def _waiting(status: Mapping[str, Any]) -> tuple[str, str]:
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", "Unschedulable"), condition.get("message", "")
    waiting = _container_state(status).get("waiting", {})
    reason = waiting.get("reason", "")
    return ("", "") if reason in _STARTING else (reason, waiting.get("message", ""))


def _is_true(status: Mapping[str, Any], condition_type: str) -> bool:
    return any(
        condition["type"] == condition_type and condition["status"] == "True"
        for condition in status.get("conditions", ())
    )
