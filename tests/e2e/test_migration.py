"""Runs that move between two real clusters, with real pods, movers and logs."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.attempts import CODE
from e2e.clusters.network import Link
from e2e.journeys import Place, complete
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


def test_a_copy_leaves_the_source_training(here: Place, there: Place) -> None:
    target = {"cluster": here.other, "namespace": there.namespace, "name": "twin"}
    here.migrate("copy", mode="Copy", source={"trainingJob": "digits"}, target=target, resume={})
    status = here.until("copy", complete, "the migration is complete")
    assert status["resumedStep"] == status["committedStep"]
    assert here.job().status()["attempts"] == 1
    assert here.job().status()["phase"] == "Running"
    there.job("twin").kubectl("delete", "trainingjob", "twin", "--timeout=60s")


def test_cancelled_while_the_link_is_cut_the_source_goes_on(here: Place, there: Place, link: Link) -> None:
    link.cut()
    target = {"cluster": here.other, "namespace": there.namespace}
    here.migrate("stuck", mode="Cold", source={"trainingJob": "digits"}, target=target, resume={})
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
    here.migrate("go", mode="Cold", source={"trainingJob": "digits"}, target=target, resume={})
    here.until("go", lambda status: status.get("phase") == "Transfer", "the source has stopped")
    here.operator.kill()
    link.heal()
    here.operator.start()
    status = here.until("go", complete, "the migration is complete")
    print(status["seconds"], "downtime", status["downtimeSeconds"], "bytes", status["bytes"])
    assert status["resumedStep"] == status["committedStep"]
    source = find_run(PosixStore(here.folder), "digits", here.namespace)
    child = find_run(PosixStore(there.folder), "digits", there.namespace)
    assert verify_run(child).ok
    assert source.state.fence is not None
    assert child.state.parent is not None
    assert child.state.parent.fence == source.refresh().fence_digest == status["fenced"]["digest"]
    # GitOps puts the source's manifest back.
    here.job().patch(suspend=False)
    here.job().phase("OwnedElsewhere")


def test_and_back_again(here: Place, there: Place) -> None:
    target = {"cluster": there.other, "namespace": here.namespace}
    there.migrate("back", mode="Cold", source={"trainingJob": "digits"}, target=target, resume={})
    status = there.until("back", complete, "the migration is complete")
    assert status["resumedStep"] == status["committedStep"]
    assert here.job().status()["phase"] == "Running"
    assert there.job().status()["phase"] == "Suspended"
