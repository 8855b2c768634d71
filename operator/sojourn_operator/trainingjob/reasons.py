"""The fixed words of a TrainingJob's conditions. docs/concepts/training-job.md says what to do about each."""

from __future__ import annotations

from typing import Final

# Condition types
READY: Final = "Ready"
FEASIBLE: Final = "Feasible"
RUNNING: Final = "Running"
SUSPENDED: Final = "Suspended"
COMPLETE: Final = "Complete"
FAILED: Final = "Failed"
OWNED_ELSEWHERE: Final = "OwnedElsewhere"

# Reasons of Feasible
CHECKED: Final = "Checked"
INVALID_SPEC: Final = "InvalidSpec"
NO_STORE: Final = "NoStore"
STORE_NOT_FOUND: Final = "StoreNotFound"
STORE_NOT_READY: Final = "StoreNotReady"
LOCAL_STORE: Final = "LocalStore"
TWO_CREDENTIALS: Final = "TwoCredentials"
LOCAL_CODE: Final = "LocalCode"
INVALID_TOPOLOGY: Final = "InvalidTopology"
RUN_IN_USE: Final = "RunInUse"

# Reasons of Running, besides those of an attempt's Ready
NOT_STARTED: Final = "NotStarted"
RESTARTING: Final = "Restarting"
ENDED: Final = "Ended"

# Reasons of Suspended
REQUESTED: Final = "Requested"
SUSPENDING: Final = "Suspending"
NOT_REQUESTED: Final = "NotRequested"

# Reasons of Complete and Failed
TRAINED: Final = "Trained"
BACKOFF_LIMIT_EXCEEDED: Final = "BackoffLimitExceeded"
DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
INVALID_TASK: Final = "InvalidTask"
CORRUPT_DATA: Final = "CorruptData"
STORE_DENIED: Final = "StoreDenied"
REFUSED_BY_RUN: Final = "RefusedByRun"

# Reasons of OwnedElsewhere
FENCED: Final = "Fenced"
STARTED_ELSEWHERE: Final = "StartedElsewhere"
