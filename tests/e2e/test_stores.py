"""Stores on a real cluster: tried by a pod, with what it found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters.access import Cluster
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from e2e.operator_process import OperatorProcess
from e2e.transfers import store, stored_run, until
from sojourn.checkpoint.verify import verify_run

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def namespace(east: Cluster, images: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A namespace with an operator of its own."""
    install_definitions(east)
    with east.namespace("stores") as name:
        log = tmp_path_factory.mktemp("operator") / "log"
        process = OperatorProcess(east, name, log, {"mover-image": images["mover"]})
        process.start()
        yield name
        process.stop()
        print(log.read_text()[-4000:])
        shutil.rmtree(store_folder(f"{name}-good"), ignore_errors=True)


def ready(cluster: Cluster, namespace: str, name: str, reason: str) -> Mapping[str, Any]:
    """The store's status, once its condition Ready has this reason."""

    def has_reason(found: dict[str, Any]) -> bool:
        conditions = found.get("status", {}).get("conditions", ())
        return any(entry["type"] == "Ready" and entry["reason"] == reason for entry in conditions)

    found = until(lambda: cluster.get("checkpointstore", name, namespace), has_reason, f"{name} is {reason}")
    status: Mapping[str, Any] = found["status"]
    return status


def test_a_claim_is_tried_by_a_restricted_pod(east: Cluster, namespace: str) -> None:
    folder = store_folder(f"{namespace}-good")
    east.apply(store(namespace), store(namespace, "second"))
    ready(east, namespace, "runs", "ClaimNotFound")
    east.apply(*claim(namespace, "runs", folder))
    found = ready(east, namespace, "runs", "Probed")
    assert found["freeBytes"] > 0
    assert found["accessModes"] == ["ReadWriteMany"]
    assert found["uri"] == "pvc://runs"
    # Two names for one place are seen to be one.
    assert ready(east, namespace, "second", "Probed")["storeId"] == found["storeId"]
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [".sojourn-store.json"]
    assert east.kubectl("get", "jobs", f"--namespace={namespace}", "-o", "name") == ""


def test_a_folder_that_pods_may_not_write(east: Cluster, namespace: str, folder: Path) -> None:
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    east.apply(*claim(namespace, "foreign", folder), store(namespace, "foreign", "foreign"))
    ready(east, namespace, "foreign", "PermissionDenied")


def test_a_checkpoint_is_deleted_with_its_files(east: Cluster, namespace: str, folder: Path) -> None:
    log = stored_run(folder)
    commit = log.state.commits[1]
    east.apply(*claim(namespace, "trained", folder), store(namespace, "trained", "trained"))
    ready(east, namespace, "trained", "Probed")
    name = f"digits-{commit.step}-{commit.manifest.removeprefix('blake3:')[:5]}"
    run = {"name": log.state.name, "runId": log.state.run_id, "prefix": log.prefix}
    place = {"storeRef": {"name": "trained"}, "run": run, "step": commit.step, "key": commit.checkpoint}
    east.apply(
        {
            "apiVersion": "sojourn.dev/v1alpha1",
            "kind": "Checkpoint",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {**place, "manifest": commit.manifest, "bytes": commit.bytes, "deletionPolicy": "Delete"},
        }
    )
    until(lambda: east.get("ckpt", name, namespace), lambda found: found["metadata"].get("finalizers"), "it is held")
    assert (folder / log.prefix / commit.checkpoint).is_dir()
    east.kubectl("delete", "ckpt", name, f"--namespace={namespace}", "--timeout=90s")
    assert not (folder / log.prefix / commit.checkpoint).exists()
    assert [one.step for one in log.refresh().commits] == [10, 30]
    assert verify_run(log).ok
