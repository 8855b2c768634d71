"""Names, labels and annotations of what a Migration makes and marks."""

from __future__ import annotations

from typing import Final

from sojourn_operator.resources import GROUP
from sojourn_operator.runtime.objects import Object

FINALIZER: Final = f"{GROUP}/hand-over-or-undo"
MIGRATION: Final = f"{GROUP}/migration"
MIGRATION_UID: Final = f"{GROUP}/migration-uid"
# On a TrainingJob: the uid of the migration that suspended it, and may let it go on.
SUSPENDED_BY: Final = f"{GROUP}/suspended-by"
# On a sender: the uid of the migration that was given up, so that no fence may be asked of it any more.
WITHDRAWN: Final = f"{GROUP}/withdrawn"
# On a Namespace: other namespaces whose migrations may reach into it, comma-separated, or "*".
ALLOWED_NAMESPACES: Final = f"{GROUP}/allowed-namespaces"
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"


def send_name(migration: Object) -> str:
    """Name of the CheckpointTransfer at the source."""
    return f"{migration['metadata']['name']}-send"


def receive_name(migration: Object) -> str:
    """Name of the CheckpointTransfer at the target."""
    return f"{migration['metadata']['name']}-receive"


def labels(migration: Object) -> dict[str, str]:
    """Labels of everything that a migration makes."""
    return {MIGRATION: migration["metadata"]["name"], MIGRATION_UID: migration["metadata"]["uid"]}


def is_made_by(obj: Object, migration: Object) -> bool:
    """Whether this migration, and not one of the same name, made an object."""
    return bool(obj["metadata"].get("labels", {}).get(MIGRATION_UID) == migration["metadata"]["uid"])
