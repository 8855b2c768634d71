"""A small valid manifest of each kind, and ways to break it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final


class _Removed:
    def __repr__(self) -> str:
        return "removed"


REMOVED: Final = _Removed()

JOB: Final[dict[str, Any]] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "digits"},
    "spec": {
        "strategy": "MultiWorkerMirroredStrategy",
        "workers": {"replicas": 2},
        "task": {"entrypoint": "sojourn_trainer.tasks.mlp:build", "args": {"hidden": 128}},
        "data": {"source": {"builtin": {"name": "digits"}}},
        "training": {"globalBatchSize": 64, "epochs": 5, "seed": 7},
        "checkpoint": {"store": {"name": "runs"}},
    },
}
ATTEMPT: Final[dict[str, Any]] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "TrainingAttempt",
    "metadata": {"name": "digits-1"},
    "spec": {
        "jobName": "digits",
        "jobUID": "6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11",
        "number": 1,
        "job": JOB["spec"],
        "store": {"name": "runs", "pvc": {"claimName": "runs"}},
    },
}
CHECKPOINT: Final[dict[str, Any]] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "Checkpoint",
    "metadata": {"name": "digits-1200-5f0c9"},
    "spec": {
        "storeRef": {"name": "runs"},
        "run": {"name": "digits", "runId": "6f1d6c1e", "prefix": "team/digits-6f1d6c1e"},
        "jobName": "digits",
        "step": 1200,
        "manifest": "blake3:" + 64 * "5",
        "key": "data/1200-1-5f0c",
        "metrics": {"loss": 0.25},
    },
}
CLUSTER: Final[dict[str, Any]] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "RemoteCluster",
    "metadata": {"name": "west"},
    "spec": {"kubeconfigSecretRef": {"name": "west-kubeconfig"}, "allowedNamespaces": ["team"]},
}
TRANSFER: Final[dict[str, Any]] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "CheckpointTransfer",
    "metadata": {"name": "digits-to-west-send"},
    "spec": {"role": "Send", "mode": "Move", "source": {"storeRef": {"name": "runs"}, "run": "digits"}},
}
MIGRATION: Final[dict[str, Any]] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "Migration",
    "metadata": {"name": "digits-to-west"},
    "spec": {
        "mode": "Cold",
        "source": {"trainingJob": "digits"},
        "target": {"cluster": "west"},
        "resume": {"workers": 4},
        "dryRun": True,
    },
}
SERVER: Final[dict[str, Any]] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "ModelServer",
    "metadata": {"name": "digits"},
    "spec": {"model": {"storeRef": {"name": "runs"}, "run": "digits"}, "replicas": 2},
}
STORE: Final[dict[str, Any]] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "CheckpointStore",
    "metadata": {"name": "runs"},
    "spec": {"uri": "s3://bucket/runs"},
}


def changed(manifest: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with values set at dotted paths, or REMOVED."""
    result = copy.deepcopy(manifest)
    for path, value in changes.items():
        *parents, last = path.split(".")
        holder = result
        for part in parents:
            holder = holder.setdefault(part, {})
        if value is REMOVED:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(value)
    return result


@dataclass(frozen=True)
class Broken:
    """Changes that make a valid manifest invalid, where the complaint belongs and words that it contains."""

    changes: dict[str, Any]
    field: str
    words: str = ""

    def __str__(self) -> str:
        return ",".join(f"{path.removeprefix('spec.')}={value!r:.24}" for path, value in self.changes.items())


NAME_WORDS: Final = "at most 40 characters"

BROKEN_JOBS: Final = (
    Broken({"metadata.name": "x" * 41}, "metadata.name", NAME_WORDS),
    Broken({"metadata.name": "Digits"}, "metadata.name", NAME_WORDS),
    Broken({"metadata.name": "7digits"}, "metadata.name", NAME_WORDS),
    Broken({"metadata.name": "digits-"}, "metadata.name", NAME_WORDS),
    Broken({"spec.strategy": "Mirrored"}, "spec.strategy", "MirroredStrategy"),
    Broken({"spec.workers.replicas": 0}, "spec.workers.replicas"),
    Broken({"spec.workers.replicas": "2"}, "spec.workers.replicas"),
    Broken({"spec.workers.replicas": 2.5}, "spec.workers.replicas"),
    Broken({"spec.workers.replicas": 3}, "spec.training.globalBatchSize", "divisible by the number of replicas"),
    Broken(
        {"spec.workers.resources": {"gpu": 3}}, "spec.training.globalBatchSize", "divisible by the number of replicas"
    ),
    Broken(
        {"spec.strategy": "MirroredStrategy", "spec.workers": {"devices": 3}},
        "spec.training.globalBatchSize",
        "divisible by the number of replicas",
    ),
    Broken({"spec.strategy": "Default"}, "spec.workers.replicas", "run in one worker"),
    Broken({"spec.strategy": "MirroredStrategy"}, "spec.workers.replicas", "run in one worker"),
    Broken({"spec.workers.devices": 2}, "spec.workers.devices", "devices is for MirroredStrategy only"),
    Broken(
        {"spec.strategy": "MirroredStrategy", "spec.workers": {"devices": 2, "resources": {"gpu": 1}}},
        "spec.workers.devices",
        "cannot be combined with GPUs",
    ),
    Broken(
        {"spec.workers.tpu": {"accelerator": "tpu-v5-lite-podslice", "topology": "2x4"}},
        "spec.workers.tpu",
        "tpu is for TPUStrategy only",
    ),
    Broken(
        {"spec.strategy": "TPUStrategy", "spec.workers.tpu": {"accelerator": "tpu-v5e", "topology": "2 by 4"}},
        "spec.workers.tpu.topology",
    ),
    Broken(
        {"spec.strategy": "TPUStrategy", "spec.workers.resources": {"gpu": 1}},
        "spec.workers.resources.gpu",
        "gpu must be 0",
    ),
    Broken({"spec.workers.resources": {"cpu": "a few"}}, "spec.workers.resources.cpu"),
    Broken({"spec.workers.resources": {"memory": "2 GB"}}, "spec.workers.resources.memory"),
    Broken({"spec.workers.resources": {"cpu": 0.5}}, "spec.workers.resources.cpu"),
    Broken({"spec.task": REMOVED}, "spec.task"),
    Broken({"spec.task.entrypoint": "mlp.build"}, "spec.task.entrypoint"),
    Broken({"spec.task.entrypoint": "mlp:build()"}, "spec.task.entrypoint"),
    Broken({"spec.task.args": ["hidden"]}, "spec.task.args"),
    Broken({"spec.task.code": {}}, "spec.task.code", "exactly one of image, configMap, archive and directory"),
    Broken({"spec.task.code": {"image": {}, "configMap": {"name": "code"}}}, "spec.task.code", "exactly one of"),
    Broken({"spec.task.code": {"archive": {"digest": "sha256:00"}}}, "spec.task.code.archive.digest"),
    Broken({"spec.data.source": {}}, "spec.data.source", "exactly one of builtin, npz, csv, tfrecord"),
    Broken({"spec.data.source.csv": {"path": "a.csv", "label": "y"}}, "spec.data.source", "exactly one of"),
    Broken({"spec.data.source": {"csv": {"path": "a.csv"}}}, "spec.data.source.csv.label"),
    Broken(
        {
            "spec.data.source": {
                "tfrecord": {
                    "path": "a",
                    "inputs": [{"name": "x", "form": "Image", "shape": [8]}],
                    "label": {"name": "y"},
                }
            }
        },
        "spec.data.source.tfrecord.inputs[0].shape",
        "an Image has shape",
    ),
    Broken({"spec.data.source": {"images": {"path": "a", "height": 0, "width": 8}}}, "spec.data.source.images.height"),
    Broken({"spec.data.fillMissing": {"mean": {}, "median": {}}}, "spec.data.fillMissing", "exactly one of"),
    Broken({"spec.data.outliers": {"action": "Clip"}}, "spec.data.outliers", "exactly one of quantile and zScore"),
    Broken(
        {"spec.data.outliers": {"quantile": {"lower": 0.9, "upper": 0.1}}},
        "spec.data.outliers.quantile.lower",
        "lower must be less than upper",
    ),
    Broken({"spec.data.normalize": "Max"}, "spec.data.normalize"),
    Broken({"spec.data.split": {"validation": 1}}, "spec.data.split.validation"),
    Broken({"spec.data.split": {"validation": 0.5, "test": 0.5}}, "spec.data.split", "sum must be less than 1"),
    Broken({"spec.training.steps": 10}, "spec.training", "exactly one of epochs and steps"),
    Broken({"spec.training.epochs": REMOVED}, "spec.training", "exactly one of epochs and steps"),
    Broken({"spec.training.epochs": None}, "spec.training", "exactly one of epochs and steps"),
    Broken({"spec.training.epochs": 0}, "spec.training.epochs"),
    Broken({"spec.training.seed": -1}, "spec.training.seed"),
    Broken({"spec.training.globalBatchSize": REMOVED}, "spec.training.globalBatchSize"),
    Broken({"spec.training.threads": {"intraOp": 0}}, "spec.training.threads", "needs fixed thread counts"),
    Broken({"spec.training.batchSize": 64}, "spec.training.batchSize", "unknown field"),
    Broken({"spec.training.global_batch_size": 64}, "spec.training.global_batch_size", "unknown field"),
    Broken({"spec.checkpoint.store": {}}, "spec.checkpoint.store", "exactly one of name and uri"),
    Broken({"spec.checkpoint.store": {"uri": "http://example.com"}}, "spec.checkpoint.store.uri"),
    Broken({"spec.checkpoint.every": {"steps": 1, "seconds": 1}}, "spec.checkpoint.every", "exactly one of"),
    Broken({"spec.checkpoint.keepLast": 0}, "spec.checkpoint.keepLast"),
    Broken({"spec.checkpoint.keepBest": {"metric": "loss"}}, "spec.checkpoint.keepBest.mode"),
    Broken({"spec.export": {"formats": []}}, "spec.export.formats"),
    Broken({"spec.export": {"formats": ["ONNX"]}}, "spec.export.formats[0]"),
    Broken({"spec.export": {"formats": ["H5", "H5"]}}, "spec.export.formats", "must not repeat"),
    Broken({"spec.restoreFrom": {"checkpoint": "digits@newest"}}, "spec.restoreFrom.checkpoint"),
    Broken({"spec.managedBy": "kueue"}, "spec.managedBy"),
    Broken({"spec.engine": "Pods"}, "spec.engine"),
    Broken({"spec.image": "not an image"}, "spec.image"),
    Broken({"spec.checkpoint.request": "now, please"}, "spec.checkpoint.request"),
    Broken({"spec.podTemplate.sharedMemory": "much"}, "spec.podTemplate.sharedMemory"),
    Broken({"spec.podTemplate.tolerations": [{"operator": "Like"}]}, "spec.podTemplate.tolerations[0].operator"),
    Broken({"spec.podTemplate.volumes": [{"emptyDir": {}}]}, "spec.podTemplate.volumes[0].name"),
    Broken({"spec.podTemplate.volumeMounts": [{"name": "x"}]}, "spec.podTemplate.volumeMounts[0].mountPath"),
    Broken(
        {"spec.podTemplate.env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {}}}]},
        "spec.podTemplate.env[0]",
        "exclude each other",
    ),
    Broken({"spec.podTemplate.env": [{"name": "SOJOURN_ROLE"}]}, "spec.podTemplate.env[0].name", "set by Sojourn"),
    Broken({"spec.suspend": "no"}, "spec.suspend"),
)
BROKEN_STORES: Final = (
    Broken({"spec.uri": REMOVED}, "spec", "exactly one of uri and pvc"),
    Broken({"spec.pvc": {"claimName": "runs"}}, "spec", "exactly one of uri and pvc"),
    Broken({"spec.uri": "https://example.com/runs"}, "spec.uri"),
    Broken({"spec.uri": "s3://"}, "spec.uri"),
    Broken({"spec.uri": "file:///runs", "spec.secretRef": {"name": "key"}}, "spec.secretRef", "is for object stores"),
    Broken({"spec.uri": REMOVED, "spec.pvc": {"claimName": "c"}, "spec.region": "eu"}, "spec.region", "object stores"),
    Broken({"spec.endpoint": "minio:9000"}, "spec.endpoint"),
    Broken({"spec.uri": REMOVED, "spec.pvc": {"claimName": "c", "path": "/runs"}}, "spec.pvc.path", "relative"),
    Broken({"spec.uri": REMOVED, "spec.pvc": {"claimName": "c", "path": "a/../.."}}, "spec.pvc.path", "relative"),
)
BROKEN_ATTEMPTS: Final = (
    Broken({"metadata.name": "x" * 51}, "metadata.name", "at most 50 characters"),
    Broken({"spec.number": 0}, "spec.number"),
    Broken({"spec.store": {"name": "runs"}}, "spec.store", "exactly one of uri and pvc"),
    Broken({"spec.stop": {"token": "now"}}, "spec.stop.reason"),
    Broken({"spec.stop": {"token": "now", "reason": "Whim"}}, "spec.stop.reason"),
    Broken({"spec.job": REMOVED}, "spec.job"),
)
BROKEN_OTHERS: Final = (
    (CHECKPOINT, Broken({"metadata.name": "x" * 64}, "metadata.name", "at most 63 characters")),
    (CHECKPOINT, Broken({"spec.manifest": "sha256:0"}, "spec.manifest")),
    (CHECKPOINT, Broken({"spec.storeRef": {}}, "spec.storeRef", "exactly one of name and uri")),
    (CHECKPOINT, Broken({"spec.deletionPolicy": "Keep"}, "spec.deletionPolicy")),
    (CLUSTER, Broken({"spec.allowedNamespaces": []}, "spec.allowedNamespaces")),
    (CLUSTER, Broken({"spec.allowedNamespaces": ["team-*"]}, "spec.allowedNamespaces[0]")),
    (CLUSTER, Broken({"spec.kubeconfigSecretRef": REMOVED}, "spec.kubeconfigSecretRef")),
    (TRANSFER, Broken({"spec.source.run": REMOVED}, "spec.source", "needs source.storeRef and source.run")),
    (TRANSFER, Broken({"spec.source": REMOVED}, "spec.source", "needs source.storeRef and source.run")),
    (TRANSFER, Broken({"spec.role": "Receive"}, "spec.target", "needs target.storeRef")),
    (TRANSFER, Broken({"spec.what": "Export"}, "spec.what", "mode Move needs what Run")),
    (TRANSFER, Broken({"spec.exposure": {"type": "Address"}}, "spec.exposure.address", "needs an address")),
    (TRANSFER, Broken({"spec.bandwidthLimit": "fast"}, "spec.bandwidthLimit")),
    (TRANSFER, Broken({"spec.peer": {"certificate": "secret"}}, "spec.peer.certificate")),
    (MIGRATION, Broken({"spec.mode": REMOVED}, "spec.mode")),
    (MIGRATION, Broken({"spec.mode": "Live"}, "spec.mode")),
    (MIGRATION, Broken({"spec.source.checkpoint": "digits-1"}, "spec.source", "exactly one of trainingJob")),
    (MIGRATION, Broken({"spec.source": {"checkpoint": "digits-1200-5f0c9"}}, "spec.source", "mode Cold hands over")),
    (
        MIGRATION,
        Broken(
            {"spec.mode": "Copy", "spec.source": {"export": {"storeRef": {"name": "runs"}, "run": "digits"}}},
            "spec.resume",
            "a model cannot be resumed",
        ),
    ),
    (MIGRATION, Broken({"spec.takeover": {}}, "spec.takeover.reason")),
    (MIGRATION, Broken({"spec.mapping": {"nodeSelectors": {"a=b": "c"}}}, "spec.mapping.nodeSelectors.a=b")),
    (SERVER, Broken({"spec.replicas": -1}, "spec.replicas")),
    (SERVER, Broken({"spec.runtime": "other"}, "spec.runtime")),
    (SERVER, Broken({"spec.exposure": {}}, "spec.exposure", "exactly one of ingress and httpRoute")),
    (SERVER, Broken({"spec.exposure": {"ingress": {"host": "Models"}}}, "spec.exposure.ingress.host")),
    (
        SERVER,
        Broken({"spec.model.version": 1, "spec.model.checkpoint": "best"}, "spec.model", "exclude each other"),
    ),
)

# What an update of a TrainingJob may change, and what it may not: (changes, field of the complaint or "").
JOB_UPDATES: Final = (
    ({"spec.workers.replicas": 4}, ""),
    ({"spec.strategy": "TPUStrategy"}, ""),
    ({"spec.training.epochs": 10}, ""),
    ({"spec.suspend": True}, ""),
    ({"spec.checkpoint.keepLast": 9}, ""),
    ({"spec.data.prefetch": 9}, ""),
    ({"spec.task.code": {"image": {}}}, ""),
    ({"spec.data.normalize": "None"}, ""),
    ({"spec.task.entrypoint": "a:b"}, "spec.task.entrypoint"),
    ({"spec.task.args": {"hidden": 64}}, "spec.task.args"),
    ({"spec.task.args": REMOVED}, "spec.task.args"),
    ({"spec.data.source": {"builtin": {"name": "iris"}}}, "spec.data.source"),
    ({"spec.data.source": {"function": {"entrypoint": "a:b"}}}, "spec.data.source"),
    ({"spec.data.shuffle": False}, "spec.data.shuffle"),
    ({"spec.data": REMOVED}, "spec.data"),
    ({"spec.training.globalBatchSize": 32}, "spec.training.globalBatchSize"),
    ({"spec.training.seed": 8}, "spec.training.seed"),
    ({"spec.training.mode": "Fast"}, "spec.training.mode"),
    ({"spec.training.threads": {"intraOp": 2}}, "spec.training.threads"),
    ({"spec.training.optimizer": {"name": "Adam"}}, "spec.training.optimizer"),
    ({"spec.restoreFrom": {"checkpoint": "other"}}, "spec.restoreFrom"),
    ({"spec.checkpoint.store": {"name": "elsewhere"}}, "spec.checkpoint.store"),
    ({"spec.managedBy": "example.com/controller"}, "spec.managedBy"),
    ({"spec.engine": "KubeRay"}, "spec.engine"),
    ({"spec.image": "registry.example/trainer:2"}, ""),
    ({"spec.checkpoint.request": "2025-01-31T12:00:00Z"}, ""),
    ({"spec.podTemplate.nodeSelector": {"zone": "a"}}, ""),
    ({"spec.startupDeadlineSeconds": 60}, ""),
)

ATTEMPT_UPDATES: Final = (
    ({"spec.stop": {"token": "suspend-2", "reason": "Suspend"}}, ""),
    ({"spec.checkpointRequest": "now"}, ""),
    ({"spec.job.suspend": True}, "spec.job"),
    ({"spec.job.training.epochs": 6}, "spec.job"),
    ({"spec.number": 2}, "spec.number"),
    ({"spec.runId": "0f3b"}, "spec.runId"),
    ({"spec.standby": True}, "spec"),
    ({"spec.store": {"uri": "s3://bucket"}}, "spec.store"),
)

OTHER_UPDATES: Final = (
    (CHECKPOINT, {"spec.deletionPolicy": "Delete"}, ""),
    (CHECKPOINT, {"spec.step": 1300}, "spec.step"),
    (CHECKPOINT, {"spec.run.prefix": "other"}, "spec.run"),
    (CHECKPOINT, {"spec.jobName": REMOVED}, "spec.jobName"),
    (CLUSTER, {"spec.allowedNamespaces": ["*"]}, ""),
    (TRANSFER, {"spec.peer": {"address": "198.51.100.7", "port": 30443}}, ""),
    (TRANSFER, {"spec.fence": {"migrationId": "m", "recipient": {"runId": "r"}}}, ""),
    (TRANSFER, {"spec.round": 2}, ""),
    (TRANSFER, {"spec.mode": "Copy"}, "spec.mode"),
    (TRANSFER, {"spec.source.run": "other"}, "spec.source"),
    (TRANSFER, {"spec.relay": {"storeRef": {"uri": "s3://relay"}}}, "spec.relay"),
    (MIGRATION, {"spec.dryRun": False}, ""),
    (MIGRATION, {"spec.takeover": {"reason": "lost"}}, ""),
    (MIGRATION, {"spec.mapping": {"queues": {"a": "b"}}}, ""),
    (MIGRATION, {"spec.mode": "Copy"}, "spec.mode"),
    (MIGRATION, {"spec.source.trainingJob": "other"}, "spec.source"),
    (MIGRATION, {"spec.target": {"namespace": "other"}}, "spec.target"),
    (MIGRATION, {"spec.target": REMOVED}, "spec.target"),
    (SERVER, {"spec.model.version": 3}, ""),
    (SERVER, {"spec.rollback": {"toVersion": 2}}, ""),
)
