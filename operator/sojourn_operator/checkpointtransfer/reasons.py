"""Types and reasons of a CheckpointTransfer's conditions."""

from __future__ import annotations

from typing import Final

READY: Final = "Ready"
VERIFIED: Final = "Verified"
FENCED: Final = "Fenced"
COMPLETE: Final = "Complete"
FAILED: Final = "Failed"

POD_PENDING: Final = "PodPending"
MOVER_RUNNING: Final = "MoverRunning"
MOVER_FAILED: Final = "MoverFailed"
NO_ADDRESS: Final = "NoAddress"
SUCCEEDED: Final = "Succeeded"
EVERY_DIGEST: Final = "EveryDigestRight"
HANDED_OVER: Final = "HandedOver"
