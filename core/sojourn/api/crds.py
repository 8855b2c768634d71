"""CustomResourceDefinitions, from the models and from what `kubectl get` is to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sojourn import __version__
from sojourn.api.base import Model
from sojourn.api.checkpoint import Checkpoint
from sojourn.api.checkpoint_store import CheckpointStore
from sojourn.api.checkpoint_transfer import CheckpointTransfer
from sojourn.api.meta import GROUP, VERSION
from sojourn.api.migration import Migration
from sojourn.api.model_server import ModelServer
from sojourn.api.remote_cluster import RemoteCluster
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


VERSION_ANNOTATION: Final = f"{GROUP}/version"
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
            Column("Free", "integer", ".status.freeBytes"),
            Column("URI", "string", ".status.uri", priority=1),
            Column("Probed", "date", ".status.lastProbeTime", priority=1),
            _AGE,
        ),
    ),
    Kind(
        Checkpoint,
        "checkpoints",
        "ckpt",
        (
            Column("Run", "string", ".spec.run.name"),
            Column("Step", "integer", ".spec.step"),
            Column("Metric", "string", ".status.quality"),
            Column("Best", "boolean", ".status.best"),
            Column("Size", "string", ".status.size"),
            Column("Store", "string", ".spec.storeRef.name"),
            Column("Available", "string", _condition("Available", "status")),
            Column("Reason", "string", _condition("Available", "reason"), priority=1),
            Column("Epoch", "integer", ".spec.epoch", priority=1),
            Column("URI", "string", ".spec.storeRef.uri", priority=1),
            Column("Folder", "string", ".spec.key", priority=1),
            _AGE,
        ),
    ),
    Kind(
        RemoteCluster,
        "remoteclusters",
        "rcl",
        (
            Column("Ready", "string", _condition("Ready", "status")),
            Column("Reason", "string", _condition("Ready", "reason")),
            Column("Version", "string", ".status.version"),
            Column("Operator", "string", ".status.operatorVersion"),
            Column("Seen", "date", ".status.lastSeenTime"),
            Column("Server", "string", ".status.server", priority=1),
            _AGE,
        ),
        namespaced=False,
    ),
    Kind(
        CheckpointTransfer,
        "checkpointtransfers",
        "ct",
        (
            Column("Role", "string", ".spec.role"),
            Column("Run", "string", ".status.run.name"),
            Column("Phase", "string", ".status.phase"),
            Column("Done", "integer", ".status.progress.done"),
            Column("Total", "integer", ".status.progress.total"),
            Column("Step", "integer", ".status.verified.step"),
            Column("Reason", "string", ".status.reason"),
            Column("Mode", "string", ".spec.mode", priority=1),
            Column("Store", "string", ".status.store", priority=1),
            Column("Pod", "string", ".status.pod", priority=1),
            _AGE,
        ),
    ),
    Kind(
        Migration,
        "migrations",
        "mig",
        (
            Column("Mode", "string", ".spec.mode"),
            Column("From", "string", ".spec.source.cluster"),
            Column("To", "string", ".spec.target.cluster"),
            Column("Phase", "string", ".status.phase"),
            Column("Committed", "integer", ".status.committedStep"),
            Column("Resumed", "integer", ".status.resumedStep"),
            Column("Downtime", "number", ".status.downtimeSeconds"),
            Column("Bytes", "integer", ".status.bytes", priority=1),
            Column("Job", "string", ".spec.source.trainingJob", priority=1),
            Column("Feasible", "string", _condition("Feasible", "status"), priority=1),
            Column("URL", "string", ".status.url", priority=1),
            _AGE,
        ),
    ),
    Kind(
        ModelServer,
        "modelservers",
        "ms",
        (
            Column("Ready", "string", _condition("Ready", "status")),
            Column("Run", "string", ".spec.model.run"),
            Column("Version", "integer", ".status.activeVersion"),
            Column("Target", "integer", ".status.targetVersion"),
            Column("Replicas", "integer", ".spec.replicas"),
            Column("Available", "integer", ".status.readyReplicas"),
            Column("URL", "string", ".status.url"),
            Column("Reason", "string", _condition("Ready", "reason"), priority=1),
            _AGE,
        ),
        scale=True,
    ),
)


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind, as plain data."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "annotations": {VERSION_ANNOTATION: __version__}},
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
