"""CustomResourceDefinitions, from the models and from what `kubectl get` is to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sojourn.api.base import Model
from sojourn.api.checkpoint_store import CheckpointStore
from sojourn.api.meta import GROUP, VERSION
from sojourn.api.schema import structural
from sojourn.api.training_attempt import TrainingAttempt
from sojourn.api.training_job import TrainingJob


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; priority 1 shows it with `-o wide` only."""

    name: str
    type: str
    path: str
    priority: int = 0
    format: str = ""

    def to_manifest(self) -> dict[str, Any]:
        """The column as a CustomResourceDefinition writes it."""
        result: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.format:
            result["format"] = self.format
        if self.priority:
            result["priority"] = self.priority
        return result


@dataclass(frozen=True, slots=True)
class Kind:
    """How a resource is called and shown."""

    model: type[Model]
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    namespaced: bool = True
    scale: bool = False

    @property
    def name(self) -> str:
        """CamelCase name."""
        return self.model.__name__


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


_SCALE: Final = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
_AGE: Final = Column("Age", "date", ".metadata.creationTimestamp")

KINDS: Final = (
    Kind(
        TrainingJob,
        "trainingjobs",
        "tj",
        (
            Column("Phase", "string", ".status.phase"),
            Column("Step", "integer", ".status.step"),
            Column("Committed", "integer", ".status.lastCommit.step"),
            Column("Total", "integer", ".status.totalSteps"),
            Column("Workers", "integer", ".spec.workers.replicas"),
            Column("Strategy", "string", ".spec.strategy", priority=1),
            Column("Attempts", "integer", ".status.attempts", priority=1),
            Column("Reason", "string", _condition("Ready", "reason"), priority=1),
            _AGE,
        ),
    ),
    Kind(
        TrainingAttempt,
        "trainingattempts",
        "ta",
        (
            Column("Job", "string", ".spec.jobName"),
            Column("Phase", "string", ".status.phase"),
            Column("Step", "integer", ".status.step"),
            Column("Committed", "integer", ".status.lastCommit.step"),
            Column("Ready", "integer", ".status.workers.ready"),
            Column("Reason", "string", ".status.outcome.reason"),
            Column("Term", "integer", ".status.run.term", priority=1),
            Column("Head", "string", ".status.head.pod", priority=1),
            Column("Heartbeat", "date", ".status.heartbeatTime", priority=1),
            _AGE,
        ),
    ),
    Kind(
        CheckpointStore,
        "checkpointstores",
        "cst",
        (
            Column("Ready", "string", _condition("Ready", "status")),
            Column("Reason", "string", _condition("Ready", "reason")),
            Column("URI", "string", ".spec.uri", priority=1),
            Column("Claim", "string", ".spec.pvc.claimName", priority=1),
            _AGE,
        ),
    ),
)


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind, as plain data."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short_name],
                "categories": ["sojourn"],
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}, **({"scale": _SCALE} if kind.scale else {})},
                    "additionalPrinterColumns": [column.to_manifest() for column in kind.columns],
                    "schema": {"openAPIV3Schema": structural(kind.model)},
                }
            ],
        },
    }
