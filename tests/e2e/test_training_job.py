"""One TrainingJob in real pods, through everything that happens to jobs. The tests share it, in this order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import pytest

from e2e import browser
from e2e.attempts import CODE
from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from e2e.jobs import RunningJob, wait
from e2e.operator_process import OperatorProcess

pytestmark = pytest.mark.e2e

MADE = "jobs,pods,services,secrets,serviceaccounts,roles,rolebindings,networkpolicies,trainingattempts"


@pytest.fixture(scope="module")
def namespace(east: Cluster) -> Iterator[str]:
    install_definitions(east)
    with east.namespace("job") as name:
        east.apply(*claim(name, "runs", store_folder(name)))
        metadata = {"name": "code", "namespace": name}
        east.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"tasks.py": CODE}})
        yield name


@pytest.fixture(scope="module")
def operator(
    east: Cluster, namespace: str, images: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    log = tmp_path_factory.mktemp("operator") / "log"
    process = OperatorProcess(east, namespace, log, {"trainer-image": images["trainer"]})
    process.start()
    yield process
    # Whatever a failed test left, its finalizer needs the operator.
    east.kubectl("delete", "trainingjobs", "--all", f"--namespace={namespace}", "--timeout=120s")
    process.stop()
    print(log.read_text()[-4000:])


@pytest.fixture(scope="module")
def job(east: Cluster, namespace: str, operator: OperatorProcess) -> RunningJob:
    east.apply(
        {
            "apiVersion": "sojourn.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": "digits", "namespace": namespace},
            "spec": {
                "strategy": "MultiWorkerMirroredStrategy",
                "workers": {"replicas": 2, "resources": {"cpu": "900m", "memory": "2Gi"}},
                "task": {"entrypoint": "tasks:paced", "code": {"configMap": {"name": "code"}}},
                "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
                "training": {"globalBatchSize": 128, "steps": 100000, "seed": 7},
                "checkpoint": {"store": {"uri": "pvc://runs/sojourn"}, "every": {"seconds": 3}},
                "podTemplate": {"sharedMemory": "256Mi"},
                "terminationGracePeriodSeconds": 40,
            },
        }
    )
    return RunningJob(east, namespace, "digits")


def test_it_trains_in_two_restricted_pods(job: RunningJob) -> None:
    status = job.trains(1, beyond=0)
    assert [pod["metadata"]["labels"]["sojourn.dev/job"] for pod in job.pods(1)] == ["digits", "digits"]
    assert job.condition("Ready")["reason"] == "Training"
    assert status["prefix"].startswith(f"{job.namespace}/digits-")
    assert status["dashboardURL"] == f"http://digits-dashboard.{job.namespace}.svc:8265"
    assert {"AttemptStarted", "Training"} <= set(job.events())


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("get", "trainingattempts/digits-1", True),
        ("patch", "trainingattempts/digits-1 --subresource=status", True),
        ("patch", "trainingattempts/digits-1", False),
        ("get", "trainingattempts/digits-2", False),
        ("list", "trainingattempts", False),
        ("get", "secrets", False),
        ("create", "pods", False),
    ],
    ids=str,
)
def test_its_pods_may_do_what_they_must(job: RunningJob, verb: str, what: str, allowed: bool) -> None:
    account = f"system:serviceaccount:{job.namespace}:digits-trainer"
    try:
        answer = job.kubectl("auth", "can-i", verb, *what.split(), f"--as={account}").strip()
    except ClusterError:
        answer = "no"  # kubectl ends with 1 then
    assert (answer == "yes") == allowed


def test_a_checkpoint_is_made_on_request(job: RunningJob) -> None:
    job.patch(checkpoint={"request": "before-lunch"})
    status = job.until(
        lambda status: status.get("checkpointRequest", {}).get("token") == "before-lunch", "the answer", 60
    )
    assert status["checkpointRequest"]["step"] > 0
    assert status["attempts"] == 1


@pytest.mark.skipif(bool(browser.missing()), reason=f"no browser: {browser.missing()} not installed")
def test_its_ray_dashboard_shows_the_run_and_both_machines(job: RunningJob) -> None:
    run = job.status()["prefix"]
    with browser.open_dashboard(job.cluster, job.namespace, job.name) as dashboard:
        jobs = dashboard.read("jobs", f"{run}[^$]*RUNNING", browser.PICTURES / "dashboard-jobs.png")
        machines = dashboard.read("cluster", r"(?s)ALIVE.*ALIVE.*ALIVE", browser.PICTURES / "dashboard-machines.png")
        actors = dashboard.read(
            "actors", "(?s)Coordinator.*TrainWorker|TrainWorker.*Coordinator", browser.PICTURES / "dashboard-actors.png"
        )
    assert "sojourn_trainer.driver" in jobs
    for pod in job.pods(1):
        assert pod["spec"]["hostname"] in machines
        assert pod["status"]["podIP"] in machines
    assert re.search(r"\d+(\.\d+)?[MG]B/2\.00GB", machines), "memory of the pods"
    assert actors.count("ALIVE") >= 3


def test_a_killed_worker_is_replaced_within_the_attempt(job: RunningJob) -> None:
    worker, before = job.pod(1, 1), job.status()
    job.kill(worker)
    # Another term: the workers have begun anew, together with the replacement.
    status = job.until(lambda status: status["term"] > before["term"], "another term")
    job.trains(1, beyond=status["lastCommit"]["step"])
    assert job.pod(1, 1) != worker


def test_a_head_lost_while_the_operator_is_dead_makes_the_next_attempt(
    job: RunningJob, operator: OperatorProcess
) -> None:
    """Lost without a word: it may not report what it commits at its end. Otherwise another head takes over from it."""
    before = job.status()["lastCommit"]["step"]
    operator.kill()
    job.kubectl("delete", "rolebinding", "digits-trainer")
    job.kubectl("delete", "pod", job.pod(1, 0), "--grace-period=3")
    operator.start()
    status = job.trains(2, beyond=before)
    assert status["attempts"] == 2
    assert job.pods(1) == []


def test_it_is_suspended_at_a_committed_step_and_goes_on_from_there(job: RunningJob) -> None:
    job.patch(suspend=True)
    status = job.phase("Suspended", 120)
    step = status["lastCommit"]["step"]
    assert status["step"] == step
    assert job.pods(2) == []
    # That of the lost attempt has ended, and stays for the logs of its pods.
    wait(lambda: job.names("jobs") == ["job.batch/digits-1"], "its Job is gone")
    assert job.condition("Suspended")["status"] == "True"
    job.patch(suspend=False)
    assert job.trains(3, beyond=step)["failures"] == 0


def test_what_somebody_deletes_comes_back(job: RunningJob) -> None:
    for name in ("networkpolicy/digits-trainer", "role/digits-trainer", "service/digits-dashboard", "service/digits-3"):
        job.kubectl("delete", name)
        wait(lambda name=name: name.split("/")[1] in " ".join(job.names(name.split("/")[0])), name)  # type: ignore[misc]


def test_an_evicted_job_goes_on_under_the_same_attempt(job: RunningJob) -> None:
    """Kueue evicts by patching the Job's own suspend."""
    before = job.status()["lastCommit"]["step"]
    job.kubectl("patch", "job", "digits-3", "--type=merge", "-p", json.dumps({"spec": {"suspend": True}}))
    job.until(lambda _: job.condition("Running").get("reason") == "Evicted" and not job.pods(3), "evicted", 90)
    committed = job.until(lambda status: status["lastCommit"]["step"] > before, "its last step", 30)["lastCommit"][
        "step"
    ]
    assert "job.batch/digits-3" in job.names("jobs")
    job.kubectl("patch", "job", "digits-3", "--type=merge", "-p", json.dumps({"spec": {"suspend": False}}))
    status = job.trains(3, beyond=committed)
    assert (status["attempts"], status["failures"]) == (3, 0)


def test_it_completes_where_a_change_of_its_length_says(job: RunningJob) -> None:
    steps = job.status()["lastCommit"]["step"] + 200
    job.patch(training={"steps": steps})
    job.kubectl("wait", "--for=condition=Complete", "trainingjob/digits", "--timeout=240s")
    status = job.status()
    assert (status["step"], status["lastCommit"]["step"], status["attempts"]) == (steps, steps, 4)
    assert "step" in job.kubectl("logs", "job/digits-4", "--tail=100")


def test_a_wrong_task_fails_at_once_and_its_log_stays(job: RunningJob) -> None:
    wrong = job.get()
    job.cluster.apply(
        {
            **{name: wrong[name] for name in ("apiVersion", "kind")},
            "metadata": {"name": "wrong", "namespace": job.namespace},
            "spec": {
                **wrong["spec"],
                "workers": {"replicas": 1, "resources": wrong["spec"]["workers"]["resources"]},
                "strategy": "Default",
                "task": {**wrong["spec"]["task"], "entrypoint": "tasks:missing"},
            },
        }
    )
    other = RunningJob(job.cluster, job.namespace, "wrong")
    status = other.phase("Failed")
    assert other.condition("Failed")["reason"] == "InvalidTask"
    assert "missing" in other.condition("Failed")["message"]
    assert status["attempts"] == 1
    (pod,) = other.pods(1, running=False)
    assert "missing" in job.kubectl("logs", pod["metadata"]["name"])
    job.kubectl("delete", "trainingjob", "wrong", "--timeout=60s")


def test_a_deleted_job_leaves_nothing_behind(job: RunningJob) -> None:
    job.kubectl("delete", "trainingjob", "digits", "--timeout=60s")
    wait(lambda: job.names(MADE) == [], f"nothing of {job.names(MADE)} is left", 60)
