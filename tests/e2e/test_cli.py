"""One job on a real cluster from the command line alone: submit, watch, steer, and read logs of pods that are gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.attempts import CODE
from e2e.clusters.access import Cluster
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from e2e.operator_process import OperatorProcess
from sojourn_operator.client import Job, connect

pytestmark = pytest.mark.e2e

MANIFEST = """\
apiVersion: sojourn.dev/v1alpha1
kind: CheckpointStore
metadata: {name: runs}
spec: {pvc: {claimName: runs, path: sojourn}}
---
apiVersion: sojourn.dev/v1alpha1
kind: TrainingJob
metadata: {name: numbers}
spec:
  workers: {resources: {cpu: 800m, memory: 2Gi}}
  task: {entrypoint: "project.tasks:paced", code: {directory: {path: code}}}
  data: {source: {builtin: {name: digits}}, normalize: MinMax}
  training: {globalBatchSize: 128, steps: 100000, seed: 7}
  checkpoint: {store: {name: runs}, every: {seconds: 5}}
  podTemplate: {sharedMemory: 256Mi}
  terminationGracePeriodSeconds: 40
"""


@dataclass(frozen=True)
class Shell:
    """The command line on one namespace of a cluster."""

    cluster: Cluster
    namespace: str

    @property
    def where(self) -> list[str]:
        return [f"--kubeconfig={self.cluster.kubeconfig}", f"--namespace={self.namespace}"]

    def __call__(self, verb: str, *arguments: str | Path, code: int = 0) -> str:
        """Run a verb, hold it to its exit code, and give its standard output."""
        command = [sys.executable, "-m", "sojourn.cli.main", verb, *map(str, arguments), *self.where]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == code, f"{verb}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def job(self) -> Job:
        return connect(kubeconfig=str(self.cluster.kubeconfig), namespace=self.namespace).job("numbers")


@pytest.fixture(scope="module")
def shell(east: Cluster, images: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    install_definitions(east)
    with east.namespace("cli") as namespace:
        east.apply(*claim(namespace, "runs", store_folder(namespace)))
        log = tmp_path_factory.mktemp("operator") / "log"
        settings = {"trainer-image": images["trainer"], "mover-image": images.get("mover", images["operator"])}
        operator = OperatorProcess(east, namespace, log, settings)
        operator.start()
        try:
            yield Shell(east, namespace)
            # While there is an operator to let go of it.
            east.kubectl("delete", "trainingjobs", "--all", f"--namespace={namespace}", "--timeout=120s")
        finally:
            operator.stop()


@pytest.fixture(scope="module")
def submitted(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The job trains. Its code lies in a package, so it travels as an archive."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "code" / "project").mkdir(parents=True)
    (folder / "code" / "project" / "__init__.py").write_text("")
    (folder / "code" / "project" / "tasks.py").write_text(CODE)
    (folder / "job.yaml").write_text(MANIFEST)
    said = shell("submit", folder / "job.yaml")
    assert "TrainingJob numbers created" in said
    until(lambda: shell.job().status.get("lastCommit", {}).get("step", 0) > 0, "it trains", shell)
    shell("submit", folder / "job.yaml", code=4)
    return shell


def until(wanted: Callable[[], bool], what: str, shell: Shell, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}\n{shell('status', 'numbers')}")
        time.sleep(1)


def test_status_shows_the_job_and_its_pods(submitted: Shell) -> None:
    tree = submitted("status", "numbers")
    assert "TrainingJob " in tree
    assert "TrainingAttempt numbers-1  Running" in tree
    assert "(head)  Running on" in tree
    found = json.loads(submitted("status", "-o", "json"))
    assert [job["metadata"]["name"] for job in found] == ["numbers"]


def test_watch_shows_progress_and_leaves_the_job_alone(submitted: Shell) -> None:
    said = submitted("watch", "numbers", "--output", "plain", "--timeout", "15", code=6)
    assert "step " in said
    assert submitted.job().phase == "Running"


def test_a_checkpoint_is_committed_on_request(submitted: Shell) -> None:
    assert submitted("checkpoint", "numbers").startswith("Committed step ")


def test_the_dashboard_is_behind_a_local_port_and_asks_for_the_token(submitted: Shell) -> None:
    command = [sys.executable, "-m", "sojourn.cli.main", "dashboard", "numbers", "--no-open", *submitted.where]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        try:
            with urllib.request.urlopen(url, timeout=20) as page:
                assert b"Ray Dashboard" in page.read()
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{url}/api/jobs/", timeout=20)
        finally:
            process.terminate()


def test_a_suspended_job_keeps_its_logs(submitted: Shell) -> None:
    live = submitted("logs", "numbers")
    assert live
    assert submitted("suspend", "numbers").startswith("Suspended at step ")
    until(lambda: not submitted.job().tree().pods, "the pods are gone", submitted)
    kept = submitted("logs", "numbers")
    assert live.splitlines()[0] in kept
    assert len(submitted("logs", "numbers", "--tail", "2").splitlines()) == 2
    said = submitted("watch", "numbers", "--output", "plain", code=3)
    assert "suspended at step" in said


def test_it_resumes_as_a_kubectl_plugin(submitted: Shell) -> None:
    """kubectl finds the program by its name, kubectl-sojourn, and hands the arguments on."""
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [str(submitted.cluster.kubectl_path), "sojourn", "resume", "numbers", *submitted.where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.stdout.startswith("Resumed."), done.stderr
    # And it asks kubectl_complete-sojourn when the tab key is pressed: this is what its scripts for shells call.
    command = [str(submitted.cluster.kubectl_path), "__complete", "sojourn", "resume", *submitted.where, "numb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.stdout.splitlines() == ["numbers", ":4"], done.stderr
    step = submitted.job().status["lastCommit"]["step"]
    until(lambda: submitted.job().status.get("step", 0) > step, "it trains again", submitted)
    tree = submitted("status", "numbers")
    assert "TrainingAttempt numbers-1  Suspended" in tree
    assert "TrainingAttempt numbers-2  Running" in tree
