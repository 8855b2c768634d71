"""Volumes on this machine's disk for the stores of tests: one cluster's own, or one folder that both mount."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from e2e.clusters.layout import POD_USER, state_folder

# A volume belongs to no namespace, so it says whose it is and can go with it.
NAMESPACE_LABEL = "sojourn-test-namespace"


def store_folder(name: str) -> Path:
    """A folder for a store that the pods of jobs may write; made if need be. Gone when the clusters are down."""
    folder = state_folder() / "stores" / name
    folder.mkdir(parents=True, exist_ok=True)
    # fsGroup has no effect on this kind of volume, so its owner has to be right beforehand.
    os.chown(folder, POD_USER, POD_USER)
    return folder


def claim(namespace: str, name: str, folder: Path, size: str = "10Gi") -> list[dict[str, Any]]:
    """A volume on a folder of the node, and the claim to it in a namespace."""
    volume = f"{namespace}-{name}"
    modes, capacity = ["ReadWriteMany"], {"storage": size}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume, "labels": {NAMESPACE_LABEL: namespace}},
            "spec": {
                "accessModes": modes,
                "capacity": capacity,
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "claimRef": {"namespace": namespace, "name": name},
                "hostPath": {"path": str(folder), "type": "Directory"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "accessModes": modes,
                "storageClassName": "",
                "volumeName": volume,
                "resources": {"requests": capacity},
            },
        },
    ]
