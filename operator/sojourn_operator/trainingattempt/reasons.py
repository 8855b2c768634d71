"""The fixed words of an attempt's conditions."""

from __future__ import annotations

from typing import Final

# Condition types
READY: Final = "Ready"
STOPPING: Final = "Stopping"
ENDED: Final = "Ended"
RELEASED: Final = "Released"
STANDING_BY: Final = "StandingBy"

# Reasons of Ready
TRAINING: Final = "Training"
HEAD_SILENT: Final = "HeadSilent"
QUEUED: Final = "Queued"
EVICTED: Final = "Evicted"
NAME_TAKEN: Final = "NameTaken"
ENGINE_NOT_INSTALLED: Final = "EngineNotInstalled"
CREATED: Final = "Created"
PODS_STARTING: Final = "PodsStarting"
UNSCHEDULABLE: Final = "Unschedulable"
IMAGE_PULL_FAILED: Final = "ImagePullFailed"
POD_BLOCKED: Final = "PodBlocked"
STARTING: Final = "Starting"
STANDBY: Final = "Standby"
STOPPING_REASON: Final = "Stopping"

# Reasons of StandingBy, which is True for STANDBY
GETTING_READY: Final = "GettingReady"
BEGUN: Final = "Begun"

# Reasons of Ended
SUCCEEDED: Final = "Succeeded"
SUSPENDED: Final = "Suspended"
STOP_DEADLINE_EXCEEDED: Final = "StopDeadlineExceeded"
FAILED: Final = "Failed"
LOST: Final = "Lost"
DISRUPTED: Final = "Disrupted"
STARTUP_DEADLINE_EXCEEDED: Final = "StartupDeadlineExceeded"

PHASES: Final = {
    SUCCEEDED: "Succeeded",
    SUSPENDED: "Suspended",
    STOP_DEADLINE_EXCEEDED: "Suspended",
    FAILED: "Failed",
    STARTUP_DEADLINE_EXCEEDED: "Failed",
    LOST: "Lost",
    DISRUPTED: "Lost",
}
"""status.phase of an attempt that has ended for a reason."""
STOPPED: Final = frozenset({SUSPENDED, STOP_DEADLINE_EXCEEDED})
COUNTED: Final = frozenset({FAILED, LOST, STARTUP_DEADLINE_EXCEEDED})

# Reasons of Released
PODS_GONE: Final = "PodsGone"
PODS_ENDING: Final = "PodsEnding"
