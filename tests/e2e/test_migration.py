"""Runs that move between two real clusters, with real pods, movers and logs."""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from e2e.attempts import CODE
from e2e.clusters.network import Link
from e2e.journeys import Place, complete
from e2e.transfers import until
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

pytestmark = pytest.mark.e2e

JOB: dict[str, Any] = {
    "task": {"entrypoint": "tasks:paced", "code": {"configMap": {"name": "code"}}},
    "workers": {"resources": {"cpu": "1", "memory": "2Gi"}},
    "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
    "training": {"globalBatchSize": 128, "steps": 100000, "seed": 7},
    "checkpoint": {"store": {"name": "runs"}, "every": {"seconds": 3}},
    "podTemplate": {"sharedMemory": "256Mi"},
    "terminationGracePeriodSeconds": 40,
}

# What a job may need of its namespace.
NEEDY = {
    **JOB,
    "suspend": True,
    "task": {"entrypoint": "sojourn_trainer.tasks.mlp:build"},
    "podTemplate": {
        "serviceAccountName": "trainer",
        "imagePullSecrets": [{"name": "registry"}],
        "env": [
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
            {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "modes", "key": "mode"}}},
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "nodeSelector": {"zone": "nowhere"},
    },
}
PRESENT = (
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "registry"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "modes"}},
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    },
)
TOO_TIGHT = (
    {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tight"},
        "spec": {"hard": {"requests.cpu": "1500m"}},
    },
    {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "tight"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]},
    },
)
# By the reason of each problem: what is missing, and what to do.
LACKING = {
    "SecretNotFound": (
        "there is no Secret keys, registry",
        "create it, or name another in the migration's spec.mapping",
    ),
    "ConfigMapNotFound": ("there is no ConfigMap modes", "spec.mapping.configMaps"),
    "ServiceAccountNotFound": ("there is no ServiceAccount trainer", "spec.mapping.serviceAccounts"),
    "ClaimNotFound": ("there is no PersistentVolumeClaim data", "spec.mapping.claims"),
    "QuotaTooSmall": ("ResourceQuota tight: 1 pods ask for 2 of requests.cpu", "spec.resume (workers, resources)"),
    "LimitExceeded": ("LimitRange tight: a pod asks for 2 of cpu", "spec.resume.resources"),
}


def in_place(place: Place, objects: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """The objects in that place's namespace."""
    return [{**one, "metadata": {**one["metadata"], "namespace": place.namespace}} for one in objects]


@pytest.fixture(scope="module")
def here(places: tuple[Place, Place]) -> Place:
    """East, where a job trains."""
    here = places[0]
    # The other cluster has no such ConfigMap: the code travels with the run.
    here.apply_code(CODE)
    here.apply_job("digits", JOB)
    here.job().trains(1, beyond=0)
    return here


def test_a_dry_run_says_what_would_be_done(here: Place, there: Place) -> None:
    target = {"cluster": here.other, "namespace": there.namespace}
    here.migrate("look", mode="Cold", source={"trainingJob": "digits"}, target=target, resume={}, dryRun=True)
    status = here.until("look", lambda status: "verdict" in status.get("plan", {}), "the verdict", 60)
    assert status["plan"]["problems"] == []
    assert status["plan"]["bytes"] > 0
    assert here.job().status()["phase"] == "Running"
    assert there.job().names("trainingjobs") == []


def test_what_the_target_lacks_is_named_before_anything_moves(here: Place, there: Place) -> None:
    """By its own operator, which asks its API server. No pod is made: the source rests, and its run is only told of."""
    here.apply_job("needy", NEEDY)
    told = {"runId": str(uuid4()), "store": {"name": "runs"}}
    resource = ("trainingjob", "needy", "--subresource=status", "--type=merge", "-p", json.dumps({"status": told}))
    here.job("needy").kubectl("patch", *resource)
    target = {"cluster": here.other, "namespace": there.namespace}
    resume = {"resources": {"cpu": "2", "memory": "2Gi"}}
    journey = {"mode": "Cold", "source": {"trainingJob": "needy"}, "target": target, "resume": resume, "dryRun": True}
    there.cluster.apply(*in_place(there, TOO_TIGHT))
    try:
        here.migrate("lacking", **journey)
        found = here.until("lacking", lambda status: "verdict" in status.get("plan", {}), "the verdict", 60)["plan"]
    finally:
        there.cluster.kubectl("delete", "resourcequota/tight", "limitrange/tight", f"--namespace={there.namespace}")
    problems = dict(problem.split(": ", 1) for problem in found["problems"])
    assert list(problems) == list(LACKING)
    for reason, (what, advice) in LACKING.items():
        assert problems[reason].startswith(f"namespace {there.namespace} of cluster {here.other}: ")
        assert what in problems[reason]
        assert advice in problems[reason]
    (nodes,) = [note for note in found["notes"] if note.startswith("Nodes: ")]
    assert "with label zone=nowhere would hold 0 of 1 pods" in nodes

    there.cluster.apply(*in_place(there, PRESENT))
    here.migrate("provided", **journey)
    found = here.until("provided", lambda status: "verdict" in status.get("plan", {}), "the verdict", 60)["plan"]
    assert found["problems"] == []
    assert there.job().names("trainingjobs") == []
    here.job("needy").kubectl("delete", "trainingjob", "needy", "--timeout=60s")


def test_a_copy_leaves_the_source_training(here: Place, there: Place) -> None:
    """This one is fetched by the target's mover, which listens."""
    target = {"cluster": here.other, "namespace": there.namespace, "name": "twin"}
    here.migrate("copy", mode="Copy", source={"trainingJob": "digits"}, target=target, resume={}, listener="Target")
    here.until("copy", lambda status: status.get("phase") == "Transfer", "it is copied", 60)
    receive = partial(there.cluster.get, "checkpointtransfer", "copy-receive", there.namespace)
    until(receive, lambda found: "port" in found.get("status", {}), "the target listens")
    send = partial(here.cluster.get, "checkpointtransfer", "copy-send", here.namespace)
    told = until(send, lambda found: "port" in found["spec"].get("peer", {}), "the source is told where")
    assert "port" not in told.get("status", {})
    status = here.until("copy", complete, "the migration is complete")
    print(status["seconds"])
    assert status["resumedStep"] == status["committedStep"]
    assert here.job().status()["attempts"] == 1
    assert here.job().status()["phase"] == "Running"
    there.job("twin").kubectl("delete", "trainingjob", "twin", "--timeout=60s")


@pytest.mark.long
def test_cancelled_while_the_link_is_cut_the_source_goes_on(here: Place, there: Place, link: Link) -> None:
    link.cut()
    target = {"cluster": here.other, "namespace": there.namespace}
    resume = {"standby": False}
    here.migrate("stuck", mode="Cold", source={"trainingJob": "digits"}, target=target, resume=resume)
    here.until("stuck", lambda status: status.get("phase") == "Transfer", "the source has stopped")
    step = here.job().status()["lastCommit"]["step"]
    here.cluster.kubectl("delete", "migration", "stuck", f"--namespace={here.namespace}", "--timeout=90s")
    here.job().trains(2, beyond=step)
    assert there.job().names("trainingjobs,checkpointtransfers") == []
    assert here.job().names("checkpointtransfers") == []


def test_a_run_goes_on_at_the_other_cluster_from_the_very_step(here: Place, there: Place, link: Link) -> None:
    """Although the link is cut and the operator dies."""
    link.cut()
    target = {"cluster": here.other, "namespace": there.namespace}
    before = here.job().status()["lastCommit"]["step"]
    here.migrate("go", mode="Cold", source={"trainingJob": "digits"}, target=target, resume={})
    there.job().until(lambda status: status.get("phase") == "Standby", "the target stands by")
    assert "runId" not in there.job().status()
    here.until("go", lambda status: status.get("phase") == "Transfer", "the source has stopped")
    here.operator.kill()
    link.heal()
    here.operator.start()
    status = here.until("go", complete, "the migration is complete")
    print(status["seconds"], "downtime", status["downtimeSeconds"], "bytes", status["bytes"])
    # The source went on until the target was ready.
    assert status["resumedStep"] == status["committedStep"] > before
    assert there.job().status()["attempts"] == 1
    source = find_run(PosixStore(here.folder), "digits", here.namespace)
    child = find_run(PosixStore(there.folder), "digits", there.namespace)
    assert verify_run(child).ok
    assert source.state.fence is not None
    assert child.state.parent is not None
    assert child.state.parent.fence == source.refresh().fence_digest == status["fenced"]["digest"]
    # GitOps puts the source's manifest back.
    here.job().patch(suspend=False)
    here.job().phase("OwnedElsewhere")


@pytest.mark.long
def test_and_back_again(here: Place, there: Place) -> None:
    target = {"cluster": there.other, "namespace": here.namespace}
    there.migrate("back", mode="Cold", source={"trainingJob": "digits"}, target=target, resume={})
    status = there.until("back", complete, "the migration is complete")
    assert status["resumedStep"] == status["committedStep"]
    assert here.job().status()["phase"] == "Running"
    assert there.job().status()["phase"] == "Suspended"
