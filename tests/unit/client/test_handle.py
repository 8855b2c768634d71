"""A run in another process, seen from Python."""

import json
import os
import time
from pathlib import Path

import pytest

import sojourn
from sojourn import events

JOB = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "digits"},
    "spec": {
        "task": {"entrypoint": "task:build"},
        "data": {"source": {"builtin": {"name": "digits"}}},
        "training": {"globalBatchSize": 64, "epochs": 2},
    },
}


def kinds(handle):
    return [event.event for event in handle.events()]


def test_a_run_completes(fake_node, tmp_path):
    saw = fake_node("complete")
    handle = sojourn.run(JOB, store=tmp_path / "store")
    outcome = handle.wait(30)
    assert outcome == sojourn.Outcome("completed", "digits", "0b5e0f5c-0000-4000-8000-000000000001", 10, {"loss": 0.1})
    assert (handle.state, handle.exit_code, handle.done) == ("completed", 0, True)
    assert sojourn.wait(handle) == outcome
    told = json.loads(saw.read_text())
    assert told["store"] == handle.store == (tmp_path / "store").as_uri()
    assert told["job"]["spec"]["training"]["epochs"] == 2
    assert (told["new"], told["restoreFrom"], told["rayAddress"], told["code"]) == (False, None, None, None)


def test_the_process_has_a_session_of_its_own(fake_node, tmp_path):
    saw = fake_node("complete")
    sojourn.run(JOB, store=tmp_path).wait(30)
    told = json.loads(saw.read_text())
    assert told["session"] == told["pid"] != os.getsid(0)


def test_events_come_to_every_watcher_also_to_those_who_come_late(fake_node, tmp_path):
    fake_node("complete")
    handle = sojourn.run(JOB, store=tmp_path)
    first = kinds(handle)
    assert first.count("Progress") == 10
    assert first[-1] == "Completed"
    late = kinds(handle)
    assert [kind for kind in late if kind != "Progress"] == [kind for kind in first if kind != "Progress"]
    assert late.count("Progress") == 1


def test_everything_but_events_goes_to_the_log(fake_node, tmp_path):
    fake_node("complete")
    handle = sojourn.run(JOB, store=tmp_path)
    handle.wait(30)
    log = handle.log.read_text()
    assert "greets on standard output" in log
    assert "on standard error" in log
    assert "FromTheFuture" in log
    assert "Progress" not in log


@pytest.mark.parametrize(
    ("scenario", "code", "message", "hint"),
    [
        ("fail", 1, "loss is NaN at step 3", "Lower the learning rate."),
        ("refuse", 4, "the run was handed over to s3://b", ""),
        ("crash", 137, "The training process was killed by SIGKILL.", ""),
        ("silent", 1, "The training process ended with exit code 1 and gave no reason.", ""),
    ],
)
def test_a_failure_says_why_and_names_the_log(fake_node, tmp_path, scenario, code, message, hint):
    fake_node(scenario)
    handle = sojourn.run(JOB, store=tmp_path)
    with pytest.raises(sojourn.RunFailed) as raised:
        handle.wait(30)
    assert raised.value.message == message
    assert raised.value.exit_code == handle.exit_code == code
    assert raised.value.hint.startswith(hint)
    assert str(handle.log) in raised.value.hint
    assert [event.event for event in handle.events()][-1] == "Failed"


def test_a_grandchild_that_holds_the_pipe_open_delays_nothing_for_long(fake_node, tmp_path):
    fake_node("orphan")
    handle = sojourn.run(JOB, store=tmp_path)
    assert handle.wait(20).state == "completed"
    handle.kill()


def wait_for_progress(handle):
    for event in handle.events():
        if isinstance(event, events.Progress):
            return


def test_stop_commits_and_suspends(fake_node, tmp_path):
    fake_node("until-stopped")
    handle = sojourn.run(JOB, store=tmp_path)
    wait_for_progress(handle)
    with pytest.raises(TimeoutError):
        handle.wait(0.01)
    handle.stop()
    outcome = handle.wait(30)
    assert (outcome.state, handle.exit_code) == ("suspended", 3)
    assert outcome.step == handle.view.committed.step


def test_kill_ends_what_does_not_stop(fake_node, tmp_path):
    fake_node("stubborn")
    handle = sojourn.run(JOB, store=tmp_path)
    wait_for_progress(handle)
    handle.stop()
    handle.kill()
    with pytest.raises(sojourn.RunFailed, match="killed by SIGKILL"):
        handle.wait(30)
    assert handle.exit_code == 137


def test_how_a_notebook_shows_it(fake_node, tmp_path):
    fake_node("complete")
    handle = sojourn.run(JOB, store=tmp_path)
    handle.wait(30)
    assert repr(handle) == f"<sojourn.Handle digits completed step 10/10 in {tmp_path.as_uri()}>"
    html = handle._repr_html_()
    assert "<b>digits</b> · completed · step 10 of 10" in html
    assert 'value="100.0"' in html


def test_the_code_folder_is_packed_and_named_by_its_digest(fake_node, tmp_path):
    saw = fake_node("complete")
    folder = tmp_path / "job"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "task.py").write_text("def build(): ...\n")
    job = json.loads(json.dumps(JOB))
    job["spec"]["task"]["code"] = {"directory": {"path": "src"}}
    (folder / "job.yaml").write_text(json.dumps(job))
    handle = sojourn.run(folder / "job.yaml", store=tmp_path / "store", new=True, restore_from="digits@best")
    handle.wait(30)
    told = json.loads(saw.read_text())
    assert told["new"]
    assert told["restoreFrom"] == "digits@best"
    archive = told["job"]["spec"]["task"]["code"]["archive"]
    assert archive["digest"].startswith("blake3:")
    assert b"def build()" in bytes.fromhex(told["code"])


def test_without_the_trainer_it_says_which_extra_to_install(fake_node, tmp_path, monkeypatch):
    fake_node("complete")
    monkeypatch.setattr("sojourn.client.launch.NEEDED", ("json", "no_such_package"))
    with pytest.raises(sojourn.errors.SojournError, match=r"no_such_package[^j]*\n  .*sojourn\[trainer\]"):
        sojourn.run(JOB, store=tmp_path)
    assert not Path(tmp_path / "state").exists()


def test_events_arrive_in_order(fake_node, tmp_path):
    fake_node("until-stopped")
    handle = sojourn.run(JOB, store=tmp_path)
    steps = []
    deadline = time.monotonic() + 30
    for event in handle.events():
        if isinstance(event, events.Progress):
            steps.append(event.step)
        if len(steps) == 50:
            handle.stop()
        assert time.monotonic() < deadline
    assert steps == list(range(1, len(steps) + 1))
