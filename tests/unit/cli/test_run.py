"""`sojourn run` against a node process that keeps the contract and trains nothing."""

import json
import signal
import subprocess
import sys

import pytest

from sojourn.events import decode

JOB = """
apiVersion: sojourn.dev/v1alpha1
kind: TrainingJob
metadata: {name: digits}
spec:
  task: {entrypoint: "task:build"}
  data: {source: {builtin: {name: digits}}}
  training: {globalBatchSize: 64, epochs: 2}
"""


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def test_a_job_completes(sojourn, fake_node, job, tmp_path):
    fake_node("complete")
    code, out, err = sojourn("run", job, "--store", tmp_path / "store")
    assert (code, err) == (0, "")
    assert "digits: attempt a1 (term 1) trains from the initial weights to step 10" in out
    assert "committed step 10" in out
    assert out.splitlines()[-1].endswith("completed 10 steps in 1.00 s: loss 0.1000")


def test_json_output_is_events_and_nothing_else(sojourn, fake_node, job, tmp_path):
    fake_node("complete")
    code, out, _ = sojourn("run", job, "--store", tmp_path, "--output", "json")
    assert code == 0
    told = [decode(line) for line in out.splitlines()]
    assert None not in told
    assert [event.event for event in told if event][:2] == ["Launch", "Started"]


def test_options_reach_the_node(sojourn, fake_node, job, tmp_path):
    saw = fake_node("complete")
    code, _, _ = sojourn(
        "run", job, "--store", tmp_path, "--new", "--restore-from", "digits@best",
        "--set", "spec.training.epochs=3", "--set", "spec.task.args={hidden: 8}", "--ray-address", "10.0.0.1:6379",
    )  # fmt: skip
    assert code == 0
    told = json.loads(saw.read_text())
    assert (told["new"], told["restoreFrom"], told["rayAddress"]) == (True, "digits@best", "10.0.0.1:6379")
    assert told["job"]["spec"]["training"]["epochs"] == 3
    assert told["job"]["spec"]["task"]["args"] == {"hidden": 8}


def test_the_store_may_come_from_the_manifest(sojourn, fake_node, job, tmp_path):
    saw = fake_node("complete")
    job.write_text(JOB + f"  checkpoint: {{store: {{uri: {(tmp_path / 'named').as_uri()}}}}}\n")
    assert sojourn("run", job)[0] == 0
    assert json.loads(saw.read_text())["store"] == (tmp_path / "named").as_uri()


def test_a_run_may_start_from_another_store(sojourn, fake_node, job, tmp_path):
    saw = fake_node("complete")
    origin = (tmp_path / "origin").as_uri()
    job.write_text(JOB + f"  restoreFrom: {{checkpoint: digits@best, store: {{uri: {origin}}}}}\n")
    assert sojourn("run", job, "--store", tmp_path)[0] == 0
    assert json.loads(saw.read_text())["restoreStore"] == origin


@pytest.mark.parametrize(("scenario", "code"), [("fail", 1), ("crash", 137), ("silent", 1)])
def test_a_failure_has_the_nodes_code_and_names_the_log(sojourn, fake_node, job, tmp_path, scenario, code):
    fake_node(scenario)
    got, out, err = sojourn("run", job, "--store", tmp_path)
    assert got == code
    assert "ERROR: failed: " in out
    log = err.strip().removeprefix("Log of the training process: ")
    assert log.startswith(str(tmp_path / "state" / "sojourn" / "digits-"))
    if scenario == "crash":
        assert "Segmentation fault" in open(log).read()  # noqa: PTH123, SIM115


def test_a_refusal_needs_no_log(sojourn, fake_node, job, tmp_path):
    fake_node("refuse")
    code, out, err = sojourn("run", job, "--store", tmp_path)
    assert (code, err) == (4, "")
    assert "ERROR: failed: the run was handed over to s3://b" in out


def test_an_invalid_manifest_starts_nothing(sojourn, fake_node, job, tmp_path):
    saw = fake_node("complete")
    job.write_text(JOB.replace("epochs", "epoch"))
    code, out, err = sojourn("run", job, "--store", tmp_path)
    assert (code, out) == (2, "")
    assert f"{job}:8:35: spec.training.epoch: unknown field" in err
    assert not saw.exists()


@pytest.fixture
def started(fake_node, job, tmp_path):
    """`sojourn run` as a process whose training has begun; the test sends it signals."""
    running = []

    def start(scenario):
        fake_node(scenario)
        command = [sys.executable, "-m", "sojourn.cli.main", "run", str(job), "--store", str(tmp_path / "store")]
        process = subprocess.Popen(
            [*command, "--output", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        for line in process.stdout:
            if '"Progress"' in line:
                return process
        raise AssertionError(process.stderr.read())

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_with_a_checkpoint(started, number):
    process = started("until-stopped")
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    told = [event for event in map(decode, out.splitlines()) if event is not None]
    assert process.returncode == 3
    assert [event.event for event in told][-2:] == ["Committed", "Suspended"]
    assert any(event.event == "Message" and "checkpoint" in event.text for event in told)


def test_the_second_signal_stops_at_once(started):
    process = started("stubborn")
    process.send_signal(signal.SIGINT)
    next(line for line in process.stdout if "Stopping" in line)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 137
    assert "Steps after the last commit are lost" in out
    assert "Log of the training process" in err
