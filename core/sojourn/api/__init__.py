"""The custom resources as Python models: the one source of CRDs, JSON schemas, reference pages and checks.

Names load on first use, so that a command that needs neither pydantic nor PyYAML does not wait for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sojourn.api.attempt_status import HeadStatus, Outcome, RunStatus, StoppedStatus, TrainingAttemptStatus
    from sojourn.api.base import JsonObject, Model
    from sojourn.api.checkpoint_store import (
        CheckpointStore,
        CheckpointStoreSpec,
        CheckpointStoreStatus,
        PersistentVolume,
    )
    from sojourn.api.data import BuiltinData, CsvData, Data, DataSource, FunctionData, NpzData, Split
    from sojourn.api.digest import canonical_json, run_definition, spec_digest
    from sojourn.api.load import Loaded, Resource, load_manifests, parse
    from sojourn.api.meta import API_VERSION, Condition, NameReference, ObjectMeta, parse_quantity
    from sojourn.api.pods import EnvVar, PodTemplate, Toleration, TrainerPodTemplate, Volume, VolumeMount
    from sojourn.api.policy import CheckpointPolicy, Export, Interval, KeepBest, RestoreFrom, StoreReference
    from sojourn.api.problems import InvalidManifest, Position, Problem
    from sojourn.api.progress import Progress, Stage
    from sojourn.api.status import CheckpointRequestStatus, CommitStatus, TrainingJobStatus, WorkerStatus
    from sojourn.api.task import ArchiveCode, Code, DirectoryCode, ImageCode, Task
    from sojourn.api.training import KerasObject, Threads, Training
    from sojourn.api.training_attempt import ResolvedStore, Stop, TrainingAttempt, TrainingAttemptSpec
    from sojourn.api.training_job import Resources, Tpu, TrainingJob, TrainingJobSpec, Workers

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
    "checkpoint_store": (
        "CheckpointStore",
        "CheckpointStoreSpec",
        "CheckpointStoreStatus",
        "PersistentVolume",
    ),
    "data": (
        "BuiltinData",
        "CsvData",
        "Data",
        "DataSource",
        "FunctionData",
        "NpzData",
        "Split",
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
        "Resources",
        "Tpu",
        "TrainingJob",
        "TrainingJobSpec",
        "Workers",
    ),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "API_VERSION",
    "ArchiveCode",
    "BuiltinData",
    "CheckpointPolicy",
    "CheckpointRequestStatus",
    "CheckpointStore",
    "CheckpointStoreSpec",
    "CheckpointStoreStatus",
    "Code",
    "CommitStatus",
    "Condition",
    "CsvData",
    "Data",
    "DataSource",
    "DirectoryCode",
    "EnvVar",
    "Export",
    "FunctionData",
    "HeadStatus",
    "ImageCode",
    "Interval",
    "InvalidManifest",
    "JsonObject",
    "KeepBest",
    "KerasObject",
    "Loaded",
    "Model",
    "NameReference",
    "NpzData",
    "ObjectMeta",
    "Outcome",
    "PersistentVolume",
    "PodTemplate",
    "Position",
    "Problem",
    "Progress",
    "ResolvedStore",
    "Resource",
    "Resources",
    "RestoreFrom",
    "RunStatus",
    "Split",
    "Stage",
    "Stop",
    "StoppedStatus",
    "StoreReference",
    "Task",
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
