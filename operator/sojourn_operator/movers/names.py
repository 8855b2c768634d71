"""Labels and names of mover pods and what they come with."""

from __future__ import annotations

from typing import Final

from sojourn_operator.runtime.objects import Object

CONTAINER: Final = "mover"
PORT: Final = 8443
STORE_LABEL: Final = "sojourn.dev/store"
CHECKPOINT_LABEL: Final = "sojourn.dev/checkpoint"
TRANSFER_LABEL: Final = "sojourn.dev/transfer"


def labels(label: str, owner: Object) -> dict[str, str]:
    """Labels of everything that is made for one object; `label` tells its kind."""
    name = owner["metadata"]["name"]
    return {
        "app.kubernetes.io/name": "sojourn-mover",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "sojourn-operator",
        label: name,
    }


def mover_name(transfer: str) -> str:
    """Name of all that a CheckpointTransfer is made of."""
    return f"{transfer}-mover"
