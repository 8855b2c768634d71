"""status, clusters, logs, dashboard: what they show of a cluster."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sojourn.errors import InvalidInput, NotFound, SojournError, StoreError
from sojourn.store.memory import MemoryStore
from sojourn_operator.client.forward import Forwarder, dashboard_pod
from sojourn_operator.client.kept_logs import NOT_THERE, reader_command, reader_pod
from sojourn_operator.resources import CHECKPOINTS, PODS, REMOTE_CLUSTERS, TRAINING_ATTEMPTS
from sojourn_operator.runtime.port import ClusterError, Forbidden, Invalid, Missing, Unauthorized, Unavailable

from .conftest import DIGEST, RUN, Sojourn, World

COMMIT = {"step": 1200, "epoch": 1, "manifest": DIGEST, "time": "2026-01-01T00:00:00Z", "bytes": 1_000_000}


@pytest.fixture
def busy(world: World) -> World:
    """A job in its second attempt, with a checkpoint."""
    world.job(
        step=1250,
        totalSteps=2400,
        etaSeconds=65,
        metrics={"loss": 0.5},
        workers={"ready": 2, "wanted": 2},
        lastCommit=COMMIT,
        prefix=RUN["prefix"],
        runId=RUN["runId"],
    )
    world.attempt(
        1, phase="Failed", step=600, outcome={"message": "the head was killed"}, completionTime="2026-01-01T00:00:00Z"
    )
    world.attempt(2, phase="Running", step=1250, run=RUN, head={"pod": "digits-2-0-a", "dashboardURL": "http://d"})
    world.pod("digits-2-0-a", attempt="digits-2")
    world.pod("digits-2-1-b", attempt="digits-2")
    spec = {
        "storeRef": {"name": "runs"},
        "run": {"name": "digits", "runId": RUN["runId"], "prefix": RUN["prefix"]},
        "jobName": "digits",
        "step": 1200,
        "manifest": DIGEST,
        "key": "data/1200-1-5f0c",
        "bytes": 1_000_000,
        "metrics": {"loss": 0.5},
        "time": "2026-01-01T00:00:00Z",
    }
    kind = {"apiVersion": "sojourn.dev/v1alpha1", "kind": "Checkpoint"}
    world.cluster.create({**kind, "metadata": {"name": "digits-1200-aaaaa", "namespace": "team"}, "spec": spec})
    world.cluster.patch_status(CHECKPOINTS, "team", "digits-1200-aaaaa", {"status": {"best": True}})
    world.clock.advance(120)
    return world


def test_the_tree_of_a_job(sojourn: Sojourn, busy: World, golden: Callable[[str, str], None]) -> None:
    code, out, _ = sojourn("status", "digits")
    assert code == 0
    golden("operator/status.txt", out)


def test_the_table_of_jobs(sojourn: Sojourn, busy: World) -> None:
    code, out, _ = sojourn("status")
    assert code == 0
    head, line = out.splitlines()
    assert head.split()[:3] == ["NAMESPACE", "NAME", "PHASE"]
    assert line.split() == [
        "team",
        "digits",
        "Running",
        "1,250",
        "2,400",
        "65",
        "s",
        "2/2",
        "step",
        "1,200,",
        "2m",
        "ago",
        "2m",
    ]


def test_status_as_data_has_the_objects(sojourn: Sojourn, busy: World) -> None:
    found = json.loads(sojourn("status", "digits", "-o", "json")[1])
    assert found["trainingJob"]["metadata"]["name"] == "digits"
    assert [attempt["spec"]["number"] for attempt in found["attempts"]] == [1, 2]
    assert [pod["metadata"]["name"] for pod in found["pods"]] == ["digits-2-0-a", "digits-2-1-b"]
    assert sojourn("status", "-o", "yaml")[1].startswith("- apiVersion: sojourn.dev/v1alpha1")


def test_a_job_that_waits_says_why(sojourn: Sojourn, world: World) -> None:
    ready = {"type": "Ready", "status": "False", "reason": "StoreNotReady", "message": "the store runs is not ready"}
    world.job("Pending", conditions=[ready | {"lastTransitionTime": "2026-01-01T00:00:00Z"}])
    out = sojourn("status", "digits")[1]
    assert "Pending (StoreNotReady)" in out
    assert "the store runs is not ready" in out


def test_no_jobs_is_said_on_standard_error(sojourn: Sojourn, world: World) -> None:
    code, out, err = sojourn("status")
    assert (code, out) == (0, "")
    assert "No TrainingJobs in namespace team" in err


def test_clusters_are_listed_with_their_readiness(sojourn: Sojourn, world: World) -> None:
    spec = {"kubeconfigSecretRef": {"name": "west"}, "allowedNamespaces": ["*"]}
    kind = {"apiVersion": "sojourn.dev/v1alpha1", "kind": "RemoteCluster", "metadata": {"name": "west"}}
    world.cluster.create({**kind, "spec": spec})
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Reachable",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"version": "v1.35.4", "operatorVersion": "0.1.0", "conditions": [ready]}
    world.cluster.patch_status(REMOTE_CLUSTERS, "", "west", {"status": status})
    line = sojourn("clusters")[1].splitlines()[1]
    assert line.split()[:5] == ["west", "True", "Reachable", "v1.35.4", "0.1.0"]
    assert json.loads(sojourn("clusters", "-o", "json")[1])[0]["metadata"]["name"] == "west"


def test_a_cluster_without_sojourn_says_how_to_install_it(
    sojourn: Sojourn, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise Missing("404")

    monkeypatch.setattr(world.cluster, "list", refuse)
    code, _, err = sojourn("status")
    assert code == 1
    assert "this cluster does not know trainingjobs.sojourn.dev" in err
    assert "helm install" in err


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (Unavailable("list: connection refused"), 1, "Is the cluster up, and the right one?"),
        (Unauthorized("list: 401"), 1, "log in again"),
        (Forbidden("list: is forbidden"), 1, "in namespace team the role edit is enough"),
        (Invalid("create: spec.x: unknown field"), 2, ""),
    ],
)
def test_what_an_api_server_refuses_comes_with_what_to_do(
    sojourn: Sojourn, world: World, monkeypatch: pytest.MonkeyPatch, error: ClusterError, code: int, hint: str
) -> None:
    def refuse(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(world.cluster, "list", refuse)
    exit_code, _, err = sojourn("status")
    assert exit_code == code
    assert err.startswith(f"Error: {error.message}\n")
    assert hint in err


def test_logs_of_the_head_of_the_newest_attempt(busy: World) -> None:
    busy.pods.logs = {"digits-2-0-a": b"one\ntwo\n", "digits-2-1-b": b"other\n"}
    assert read(busy) == b"one\ntwo\n"
    assert read(busy, tail=1) == b"two\n"
    assert read(busy, pod="digits-2-1-b") == b"other\n"


def test_a_pod_that_has_not_written_yet_is_waited_for_on_request(busy: World) -> None:
    with pytest.raises(NotFound, match="has written nothing yet"):
        read(busy)
    busy.script += [lambda: None, lambda: busy.pods.logs.update({"digits-2-0-a": b"at last\n"})]
    assert read(busy, follow=True) == b"at last\n"


def read(world: World, **query: Any) -> bytes:
    from sojourn_operator.client.logs import LogQuery, read_log

    return b"".join(read_log(world.client.job("digits"), LogQuery(**query)))


def test_logs_of_a_pod_that_is_gone_come_from_the_object_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.job(prefix=RUN["prefix"])
    name = world.attempt(phase="Succeeded", run=RUN, head={"pod": "digits-1-0-x"})
    attempt = world.cluster.get(TRAINING_ATTEMPTS, "team", name)
    world.cluster.delete(TRAINING_ATTEMPTS, "team", name)
    store = {"uri": "s3://bucket/sojourn", "region": "eu"}
    world.cluster.create({**attempt, "spec": {**attempt["spec"], "store": store}})
    world.cluster.patch_status(TRAINING_ATTEMPTS, "team", name, {"status": attempt["status"]})
    kept = MemoryStore("kept")
    kept.put(f"{RUN['prefix']}/logs/digits-1/digits-1-0-x.log", b"kept\nlines\n")
    monkeypatch.setattr("sojourn.store.open.open_store", lambda uri, options: kept)
    assert read(world) == b"kept\nlines\n"
    assert read(world, tail=1) == b"lines\n"


def test_logs_in_a_volume_are_read_by_a_pod_that_goes_again(world: World) -> None:
    world.job()
    world.attempt(phase="Succeeded", run=RUN, head={"pod": "digits-1-0-x"})

    def succeed() -> None:
        made = world.cluster.get(PODS, "team", "digits-1-logs")
        place = f"/sojourn/store/deep/{RUN['prefix']}/logs/digits-1/digits-1-0-x.log"
        assert made["spec"]["containers"][0]["command"] == reader_command(place)
        world.pods.logs["digits-1-logs"] = b"from the volume\n"
        world.cluster.patch_status(PODS, "team", "digits-1-logs", {"status": {"phase": "Succeeded"}})

    world.script.append(succeed)
    assert read(world) == b"from the volume\n"
    assert world.cluster.get(PODS, "team", "digits-1-logs") is None


def test_a_log_that_a_volume_does_not_have_is_told_as_not_kept(world: World) -> None:
    world.job()
    world.attempt(phase="Succeeded", run=RUN, head={"pod": "digits-1-0-x"})
    world.script.append(lambda: ended(world, {"exitCode": NOT_THERE}))
    with pytest.raises(NotFound, match="its log was not kept"):
        read(world)
    assert world.cluster.get(PODS, "team", "digits-1-logs") is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Failed", "reason": "DeadlineExceeded", "message": "was active too long"}, "was active too long"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"},
            "Evicted: The node was low",
        ),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 1}}}]}, "denied"),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}, "ImagePullBackOff"),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes have the volume"}]},
            "0/3 nodes have the volume",
        ),
    ],
)
def test_a_reader_that_could_not_look_says_why(world: World, status: dict[str, Any], words: str) -> None:
    world.job()
    world.attempt(phase="Succeeded", run=RUN, head={"pod": "digits-1-0-x"})
    world.pods.logs["digits-1-logs"] = b"cat: /sojourn/store/deep: Permission denied\n"
    world.script.append(
        lambda: world.cluster.patch_status(PODS, "team", "digits-1-logs", {"status": {"phase": "Pending", **status}})
    )
    with pytest.raises(StoreError, match="could not read") as raised:
        read(world)
    assert words in str(raised.value)
    assert world.cluster.get(PODS, "team", "digits-1-logs") is None


def test_a_reader_that_somebody_deletes_is_not_waited_for(world: World) -> None:
    world.job()
    world.attempt(phase="Succeeded", run=RUN, head={"pod": "digits-1-0-x"})
    world.script.append(lambda: world.cluster.delete(PODS, "team", "digits-1-logs"))
    with pytest.raises(StoreError, match="was deleted"):
        read(world)


@pytest.mark.parametrize("there", [True, False])
def test_the_readers_command_prints_the_file_or_says_that_it_is_not_there(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "a b.log").write_text("kept\n")
    found = subprocess.run(reader_command(str(tmp_path / "a b.log")), capture_output=True, check=False)
    assert (found.returncode, found.stdout) == ((0, b"kept\n") if there else (NOT_THERE, b""))


def ended(world: World, terminated: dict[str, Any]) -> None:
    status = {"phase": "Failed", "containerStatuses": [{"name": "logs", "state": {"terminated": terminated}}]}
    world.cluster.patch_status(PODS, "team", "digits-1-logs", {"status": status})


def test_the_reader_is_fit_for_a_restricted_namespace(world: World) -> None:
    world.job()
    world.attempt()
    attempt = world.cluster.get(TRAINING_ATTEMPTS, "team", "digits-1")
    spec = reader_pod("team", attempt, "key")["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "trainer:1"
    assert container["volumeMounts"] == [{"name": "store", "mountPath": "/sojourn/store", "readOnly": True}]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(
    ("attempts", "query", "words"),
    [
        (0, {}, "has made no attempt yet"),
        (1, {"attempt": 7}, "has no attempt 7"),
        (1, {}, "had not begun a run"),
    ],
)
def test_logs_that_are_not_there_are_explained(world: World, attempts: int, query: Any, words: str) -> None:
    world.job()
    for number in range(attempts):
        world.attempt(number + 1)
    with pytest.raises(NotFound, match=words):
        read(world, **query)


def test_the_dashboard_is_forwarded_from_the_head(busy: World) -> None:
    assert dashboard_pod(busy.client.job("digits")) == "digits-2-0-a"
    with Forwarder(busy.pods, "team", "digits-2-0-a", 8265) as forwarder:
        threading.Thread(target=forwarder.serve, daemon=True).start()
        with socket.create_connection(("127.0.0.1", int(forwarder.url.rpartition(":")[2])), timeout=5) as connection:
            assert connection.recv(100) == b"team/digits-2-0-a:8265"


def test_there_is_no_dashboard_of_a_job_that_does_not_run(sojourn: Sojourn, world: World) -> None:
    world.job("Suspended")
    code, _, err = sojourn("dashboard", "digits", "--no-open")
    assert code == 4
    assert "has no dashboard now: it is Suspended" in err


def test_names_complete_and_a_cluster_that_cannot_be_asked_completes_nothing(
    busy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sojourn_operator.cli.options import names

    monkeypatch.setattr("sojourn_operator.cli.options.client", lambda **chosen: busy.client)
    assert names("trainingjobs", {}) == ["digits"]

    def fail(**chosen: object) -> None:
        raise InvalidInput("no kubeconfig")

    monkeypatch.setattr("sojourn_operator.cli.options.client", fail)
    assert names("trainingjobs", {}) == []


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from sojourn_operator.cli.options import client

    for name in [name for name in sys.modules if name.startswith("sojourn_operator.client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "urllib3", None)
    monkeypatch.delitem(sys.modules, "sojourn_operator.runtime.api", raising=False)
    with pytest.raises(SojournError, match="urllib3") as caught:
        client()
    assert "sojourn[cluster]" in caught.value.hint
