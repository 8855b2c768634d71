"""The custom resources as Python models: the one source of CRDs, JSON schemas, reference pages and checks.

Names load on first use, so that a command that needs neither pydantic nor PyYAML does not wait for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sojourn.api.attempt_status import HeadStatus, Outcome, RunStatus, StoppedStatus, TrainingAttemptStatus
    from sojourn.api.base import JsonObject, Model
    from sojourn.api.checkpoint import Checkpoint, CheckpointSpec, CheckpointStatus, RunReference
    from sojourn.api.checkpoint_store import (
        CheckpointStore,
        CheckpointStoreSpec,
        CheckpointStoreStatus,
        PersistentVolume,
    )
    from sojourn.api.checkpoint_transfer import (
        CheckpointTransfer,
        CheckpointTransferSpec,
        FenceOverride,
        FenceRecipient,
        FenceRequest,
        Peer,
        TransferSource,
        TransferTarget,
    )
    from sojourn.api.connection import Exposure, Relay
    from sojourn.api.data import (
        BuiltinData,
        CsvData,
        Data,
        DataSource,
        FillMissing,
        FunctionData,
        ImageFolderData,
        NpzData,
        Outliers,
        RecordValue,
        Split,
        TfrecordData,
    )
    from sojourn.api.digest import canonical_json, run_definition, spec_digest
    from sojourn.api.load import Loaded, Resource, load_manifests, parse
    from sojourn.api.meta import API_VERSION, Condition, NameReference, ObjectMeta, parse_quantity
    from sojourn.api.migration import (
        ExportSource,
        Mapping,
        Migration,
        MigrationSource,
        MigrationSpec,
        MigrationTarget,
        Resume,
        RunSource,
        Serve,
        Takeover,
    )
    from sojourn.api.migration_status import MigrationStatus
    from sojourn.api.model_server import (
        ModelServer,
        ModelServerSpec,
        ModelServerStatus,
        ServedModel,
        ServedVersion,
        ServerExposure,
        ServerTemplate,
    )
    from sojourn.api.pods import EnvVar, PodTemplate, Toleration, TrainerPodTemplate, Volume, VolumeMount
    from sojourn.api.policy import CheckpointPolicy, Export, Interval, KeepBest, RestoreFrom, StoreReference
    from sojourn.api.problems import InvalidManifest, Position, Problem
    from sojourn.api.progress import Progress, Stage
    from sojourn.api.remote_cluster import KubeconfigReference, RemoteCluster, RemoteClusterSpec, RemoteClusterStatus
    from sojourn.api.resources import ResourceChanges, Resources
    from sojourn.api.status import CheckpointRequestStatus, CommitStatus, TrainingJobStatus, WorkerStatus
    from sojourn.api.task import ArchiveCode, Code, DirectoryCode, ImageCode, Task
    from sojourn.api.training import KerasObject, Optimizer, Threads, Training
    from sojourn.api.training_attempt import ResolvedStore, Stop, TrainingAttempt, TrainingAttemptSpec
    from sojourn.api.training_job import Tpu, TrainingJob, TrainingJobSpec, Workers
    from sojourn.api.transfer_status import CheckpointTransferStatus

_HOMES = {
    "attempt_status": (
        "HeadStatus",
        "Outcome",
        "RunStatus",
        "StoppedStatus",
        "TrainingAttemptStatus",
    ),
    "base": (
        "JsonObject",
        "Model",
    ),
    "checkpoint": (
        "Checkpoint",
        "CheckpointSpec",
        "CheckpointStatus",
        "RunReference",
    ),
    "checkpoint_store": (
        "CheckpointStore",
        "CheckpointStoreSpec",
        "CheckpointStoreStatus",
        "PersistentVolume",
    ),
    "checkpoint_transfer": (
        "CheckpointTransfer",
        "CheckpointTransferSpec",
        "FenceOverride",
        "FenceRecipient",
        "FenceRequest",
        "Peer",
        "TransferSource",
        "TransferTarget",
    ),
    "connection": (
        "Exposure",
        "Relay",
    ),
    "data": (
        "BuiltinData",
        "CsvData",
        "Data",
        "DataSource",
        "FillMissing",
        "FunctionData",
        "ImageFolderData",
        "NpzData",
        "Outliers",
        "RecordValue",
        "Split",
        "TfrecordData",
    ),
    "digest": (
        "canonical_json",
        "run_definition",
        "spec_digest",
    ),
    "load": (
        "Loaded",
        "Resource",
        "load_manifests",
        "parse",
    ),
    "meta": (
        "API_VERSION",
        "Condition",
        "NameReference",
        "ObjectMeta",
        "parse_quantity",
    ),
    "migration": (
        "ExportSource",
        "Mapping",
        "Migration",
        "MigrationSource",
        "MigrationSpec",
        "MigrationTarget",
        "Resume",
        "RunSource",
        "Serve",
        "Takeover",
    ),
    "migration_status": ("MigrationStatus",),
    "model_server": (
        "ModelServer",
        "ModelServerSpec",
        "ModelServerStatus",
        "ServedModel",
        "ServedVersion",
        "ServerExposure",
        "ServerTemplate",
    ),
    "pods": (
        "EnvVar",
        "PodTemplate",
        "Toleration",
        "TrainerPodTemplate",
        "Volume",
        "VolumeMount",
    ),
    "policy": (
        "CheckpointPolicy",
        "Export",
        "Interval",
        "KeepBest",
        "RestoreFrom",
        "StoreReference",
    ),
    "problems": (
        "InvalidManifest",
        "Position",
        "Problem",
    ),
    "progress": (
        "Progress",
        "Stage",
    ),
    "remote_cluster": (
        "KubeconfigReference",
        "RemoteCluster",
        "RemoteClusterSpec",
        "RemoteClusterStatus",
    ),
    "resources": (
        "ResourceChanges",
        "Resources",
    ),
    "status": (
        "CheckpointRequestStatus",
        "CommitStatus",
        "TrainingJobStatus",
        "WorkerStatus",
    ),
    "task": (
        "ArchiveCode",
        "Code",
        "DirectoryCode",
        "ImageCode",
        "Task",
    ),
    "training": (
        "KerasObject",
        "Optimizer",
        "Threads",
        "Training",
    ),
    "training_attempt": (
        "ResolvedStore",
        "Stop",
        "TrainingAttempt",
        "TrainingAttemptSpec",
    ),
    "training_job": (
        "Tpu",
        "TrainingJob",
        "TrainingJobSpec",
        "Workers",
    ),
    "transfer_status": ("CheckpointTransferStatus",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "API_VERSION",
    "ArchiveCode",
    "BuiltinData",
    "Checkpoint",
    "CheckpointPolicy",
    "CheckpointRequestStatus",
    "CheckpointSpec",
    "CheckpointStatus",
    "CheckpointStore",
    "CheckpointStoreSpec",
    "CheckpointStoreStatus",
    "CheckpointTransfer",
    "CheckpointTransferSpec",
    "CheckpointTransferStatus",
    "Code",
    "CommitStatus",
    "Condition",
    "CsvData",
    "Data",
    "DataSource",
    "DirectoryCode",
    "EnvVar",
    "Export",
    "ExportSource",
    "Exposure",
    "FenceOverride",
    "FenceRecipient",
    "FenceRequest",
    "FillMissing",
    "FunctionData",
    "HeadStatus",
    "ImageCode",
    "ImageFolderData",
    "Interval",
    "InvalidManifest",
    "JsonObject",
    "KeepBest",
    "KerasObject",
    "KubeconfigReference",
    "Loaded",
    "Mapping",
    "Migration",
    "MigrationSource",
    "MigrationSpec",
    "MigrationStatus",
    "MigrationTarget",
    "Model",
    "ModelServer",
    "ModelServerSpec",
    "ModelServerStatus",
    "NameReference",
    "NpzData",
    "ObjectMeta",
    "Optimizer",
    "Outcome",
    "Outliers",
    "Peer",
    "PersistentVolume",
    "PodTemplate",
    "Position",
    "Problem",
    "Progress",
    "RecordValue",
    "Relay",
    "RemoteCluster",
    "RemoteClusterSpec",
    "RemoteClusterStatus",
    "ResolvedStore",
    "Resource",
    "ResourceChanges",
    "Resources",
    "RestoreFrom",
    "Resume",
    "RunReference",
    "RunSource",
    "RunStatus",
    "Serve",
    "ServedModel",
    "ServedVersion",
    "ServerExposure",
    "ServerTemplate",
    "Split",
    "Stage",
    "Stop",
    "StoppedStatus",
    "StoreReference",
    "Takeover",
    "Task",
    "TfrecordData",
    "Threads",
    "Toleration",
    "Tpu",
    "TrainerPodTemplate",
    "Training",
    "TrainingAttempt",
    "TrainingAttemptSpec",
    "TrainingAttemptStatus",
    "TrainingJob",
    "TrainingJobSpec",
    "TrainingJobStatus",
    "TransferSource",
    "TransferTarget",
    "Volume",
    "VolumeMount",
    "WorkerStatus",
    "Workers",
    "canonical_json",
    "load_manifests",
    "parse",
    "parse_quantity",
    "run_definition",
    "spec_digest",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
