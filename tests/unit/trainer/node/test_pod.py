"""What a pod decides: who it is, where its code comes from, how its end is told, what of its log is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.runs import Clock, assert_holds, trained_run
from sojourn import events
from sojourn.api import TrainingJob
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.runlog.log import RunLog
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.task.archive import archive_key, pack
from sojourn_trainer.driver.prepare import RunRequest, prepare_run
from sojourn_trainer.driver.requests import CheckpointRequests
from sojourn_trainer.node.pod import outcome
from sojourn_trainer.node.pod.code import find_code
from sojourn_trainer.node.pod.head import is_replaced, is_stopped
from sojourn_trainer.node.pod.logs import LogPlace, Tail, forget_old_logs
from sojourn_trainer.node.pod.main import job_of
from sojourn_trainer.node.pod.settings import read_pod_settings, store_variables
from sojourn_trainer.node.process_age import process_age
from sojourn_trainer.node.stops import Stops

ENVIRONMENT = {
    "SOJOURN_ATTEMPT_NAMESPACE": "team",
    "SOJOURN_ATTEMPT_NAME": "digits-1",
    "SOJOURN_ROLE": "auto",
    "JOB_COMPLETION_INDEX": "0",
    "SOJOURN_HEAD_ADDRESS": "digits-1-0.digits-1:6379",
    "POD_NAME": "digits-1-0-abcde",
    "POD_UID": "u1",
    "POD_IP": "10.0.0.1",
    "SOJOURN_STORE": "/sojourn/store",
    "RAY_AUTH_TOKEN": "secret",
}


def job(**code: object) -> TrainingJob:
    task = {"entrypoint": "tasks:build"} | ({"code": code} if code else {})
    return job_of(
        {
            "apiVersion": "sojourn.dev/v1alpha1",
            "metadata": {"name": "digits-1"},
            "spec": {"jobName": "digits", "job": {"task": task, "training": {"globalBatchSize": 8, "steps": 1}}},
        },
        "team",
    )


def test_settings_come_from_the_environment() -> None:
    pod = read_pod_settings(ENVIRONMENT)
    assert (pod.head, pod.attempt.name, pod.attempt.namespace) == (True, "digits-1", "team")
    assert not read_pod_settings(ENVIRONMENT | {"JOB_COMPLETION_INDEX": "3"}).head
    assert read_pod_settings(ENVIRONMENT | {"JOB_COMPLETION_INDEX": "3", "SOJOURN_ROLE": "head"}).head
    for name in set(ENVIRONMENT) - {"SOJOURN_ROLE"}:
        with pytest.raises(InvalidInput, match=name):
            read_pod_settings({key: value for key, value in ENVIRONMENT.items() if key != name})


def test_region_and_endpoint_reach_every_process() -> None:
    given = {"SOJOURN_STORE": "s3://bucket/runs", "SOJOURN_STORE_REGION": "eu", "SOJOURN_STORE_ENDPOINT": "http://s:1"}
    assert store_variables(given) == {"AWS_REGION": "eu", "AWS_ENDPOINT": "http://s:1", "AWS_ALLOW_HTTP": "true"}
    assert store_variables({"SOJOURN_STORE": "/sojourn/store", "SOJOURN_STORE_REGION": "eu"}) == {}


def test_a_config_map_becomes_an_archive_of_its_files_alone(tmp_path: Path) -> None:
    # As the kubelet mounts it: links into a folder that is named after the time.
    real = tmp_path / "..2026_01_01_00_00_00.1"
    real.mkdir()
    (real / "tasks.py").write_text("def build(): ...\n")
    (tmp_path / "..data").symlink_to(real.name)
    (tmp_path / "tasks.py").symlink_to("..data/tasks.py")
    found = find_code(job(configMap={"name": "code"}), MemoryStore("code"), tmp_path)
    plain = tmp_path / "..plain"
    plain.mkdir()
    (plain / "tasks.py").write_text("def build(): ...\n")
    expected = pack(plain)
    assert found.code == expected.data
    archive = found.job.spec.task.code.archive
    assert archive.digest == expected.digest
    with pytest.raises(InvalidInput, match="not mounted"):
        find_code(job(configMap={"name": "code"}), MemoryStore("code"), None)


def test_a_config_map_may_hold_the_archive_itself(tmp_path: Path) -> None:
    """As `sojourn submit` makes it of code in folders, which a ConfigMap cannot hold."""
    (tmp_path / "code" / "package").mkdir(parents=True)
    (tmp_path / "code" / "package" / "tasks.py").write_text("def build(): ...\n")
    archive = pack(tmp_path / "code")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "code.tar").write_bytes(archive.data)
    found = find_code(job(configMap={"name": "code"}), MemoryStore("code"), mounted)
    assert found.code == archive.data
    assert found.job.spec.task.code.archive.digest == archive.digest


def test_an_archive_is_found_by_its_digest_and_checked(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "tasks.py").write_text("def build(): ...\n")
    archive = pack(tmp_path / "code")
    store = PosixStore(tmp_path / "store")
    wanted = job(archive={"digest": archive.digest})
    assert find_code(wanted, store, None).code is None
    with pytest.raises(InvalidInput, match="is not with the run"):
        prepare_run(store, RunRequest(wanted))
    store.put(archive_key(archive.digest), archive.data)
    assert find_code(wanted, store, None).code == archive.data
    (tmp_path / "a.tar").write_bytes(archive.data)
    by_uri = job(archive={"digest": archive.digest, "uri": f"file://{tmp_path}/a.tar"})
    assert find_code(by_uri, store, None).code == archive.data
    (tmp_path / "a.tar").write_bytes(archive.data + b"\0")
    with pytest.raises(CorruptData, match=r"a\.tar"):
        find_code(by_uri, store, None)
    for uri in (f"file://{tmp_path}/b.tar", "http://127.0.0.1:1/a.tar"):
        with pytest.raises(NotFound, match="tar"):
            find_code(job(archive={"digest": archive.digest, "uri": uri}), store, None)


def test_a_run_lies_in_the_namespace_of_its_job(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    first = prepare_run(store, RunRequest(job(), namespace="team"))
    assert first.run.prefix == f"team/digits-{first.run.run_id}"
    assert prepare_run(store, RunRequest(job(), namespace="team")).run == first.run
    assert prepare_run(store, RunRequest(job(), namespace="other")).run != first.run
    assert prepare_run(store, RunRequest(job(), namespace="team", run_id=first.run.run_id)).run == first.run
    with pytest.raises(NotFound):
        prepare_run(store, RunRequest(job(), namespace="team", run_id="0" * 8 + first.run.run_id[8:]))


def test_a_run_starts_from_a_checkpoint_of_another_store(tmp_path: Path) -> None:
    clock = Clock()
    other, store = PosixStore(tmp_path / "other"), PosixStore(tmp_path / "own")
    source = trained_run(other, clock.env())
    (tmp_path / "other").chmod(0o500)
    manifest = job().to_manifest()
    manifest["spec"]["restoreFrom"] = {"checkpoint": "digits@20", "store": {"name": "other"}}
    wanted = TrainingJob.model_validate(manifest)
    with pytest.raises(InvalidInput, match="not known here"):
        prepare_run(store, RunRequest(wanted))
    new = "0c2d2f3e-8a55-4f5e-9d0b-5b0a5c0f7a11"
    request = RunRequest(wanted, namespace="team", new_run_id=new, restore_store=other)
    prepared = prepare_run(store, request)
    assert prepared.run.run_id == new
    log = RunLog.open(store, prepared.run.prefix)
    assert log.state.created.parent.run == source.prefix
    assert_holds(log, 20)
    assert prepare_run(store, request).run == prepared.run


@pytest.mark.parametrize(
    ("code", "reason", "asked", "signalled", "expected"),
    [
        (0, None, False, False, outcome.End("Succeeded", 0, "Completed")),
        (0, None, True, True, outcome.End("Succeeded", 0, "Completed")),
        (3, None, True, False, outcome.End("Suspended", 0, "Stopped")),
        (3, None, False, True, outcome.End("Suspended", 143, "Evicted")),
        (1, "NotCommitted", False, True, outcome.End("Suspended", 143, "NotCommitted")),
        (1, "BackoffLimitExceeded", False, True, outcome.End("Failed", 1, "BackoffLimitExceeded")),
        (4, "Fenced", False, False, outcome.End("Failed", 4, "OwnedElsewhere")),
        (4, "StaleTerm", False, False, outcome.End("Failed", 4, "StaleTerm")),
        (2, "", False, False, outcome.End("Failed", 2, "Failed")),
        (1, "StoreError", False, False, outcome.End("Failed", 1, "StoreFailed")),
        (1, "StoreDenied", False, False, outcome.End("Failed", 1, "StoreDenied")),
    ],
)
def test_ends(code: int, reason: str | None, asked: bool, signalled: bool, expected: outcome.End) -> None:
    failure = events.Failed(time=1, message="m", exit_code=code, reason=reason) if reason is not None else None
    assert outcome.judge(code, failure, asked=asked, signalled=signalled) == expected


def test_last_words_go_to_the_kubelets_file(tmp_path: Path) -> None:
    failure = events.Failed(time=1, message="no such column", hint="Name another.", exit_code=2)
    file = tmp_path / "termination-log"
    outcome.leave_last_words(outcome.End("Failed", 2, "InvalidInput"), failure, file)
    assert not file.exists()
    file.touch()
    outcome.leave_last_words(outcome.End("Failed", 2, "InvalidInput"), failure, file)
    assert file.read_text() == "no such column\nName another."


@pytest.mark.parametrize(
    ("status", "replaced"),
    [
        ({}, False),
        ({"head": {"uid": "u1"}, "phase": "Running"}, False),
        ({"head": {"uid": "u0"}, "phase": "Running"}, True),
        ({"head": {"uid": "u0"}, "phase": "Failed"}, True),
        ({"head": {"uid": "u0"}, "phase": "Lost"}, True),
        ({"head": {"uid": "u0"}, "phase": "Suspended"}, False),
        ({"head": {"uid": "u0"}, "phase": "Pending"}, False),
    ],
)
def test_a_replaced_head_knows(status: dict[str, object], replaced: bool) -> None:
    assert is_replaced({"spec": {}, "status": status}, "u1") is replaced


def test_an_answered_stop_is_not_answered_again() -> None:
    found = {"spec": {"stop": {"token": "s"}}, "status": {"stopped": {"token": "r"}}}
    assert not is_stopped(found)
    found["status"]["stopped"]["token"] = "s"
    assert is_stopped(found)
    assert not is_stopped({"spec": {}})


def test_a_signal_sets_a_deadline_and_a_request_does_not() -> None:
    now = [100.0]
    stops = Stops(10, clock=lambda: now[0])
    stops.ask("Suspend")
    now[0] += 1000
    assert stops.asked
    assert not stops.overdue
    stops.interrupt("SIGTERM")
    now[0] += 9
    stops.interrupt("SIGTERM")
    assert not stops.overdue
    now[0] += 2
    assert stops.overdue
    assert (stops.reason, stops.signalled) == ("Suspend", True)


def test_a_checkpoint_request_is_answered_by_a_later_boundary_only() -> None:
    requests = CheckpointRequests()
    requests.add("a", now=10)
    requests.add("b", now=20)
    requests.add("a", now=30)
    assert requests.answered_by(9.9) == ()
    assert requests.answered_by(15) == ("a",)
    assert requests
    assert requests.answered_by(99) == ("b",)
    assert not requests


def test_the_newest_lines_of_a_log_are_kept() -> None:
    tail = Tail(limit=20)
    for number in range(10):
        tail.add(b"line %d\n" % number)
    assert tail.read() == b"[earlier lines were left out]\nline 8\nline 9\n"
    tail.add(b"x" * 100)
    assert len(tail.read().splitlines()[-1]) <= 20


def test_logs_of_the_newest_attempts_stay(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    for number in range(1, 15):
        store.put(LogPlace(store, "team/digits-x", f"digits-{number}", "pod").key, b"text")
    forget_old_logs(store, "team/digits-x", "digits-14")
    left = {int(name.rpartition("-")[2]) for name in store.list_folders("team/digits-x/logs")}
    assert left == set(range(5, 15))


def test_output_of_this_process_and_its_children_is_kept(tmp_path: Path) -> None:
    program = f"""
import os, subprocess, sys
from sojourn.store.posix import PosixStore
from sojourn_trainer.node.pod.logs import LogPlace, PodLog
kept = PodLog(lambda: LogPlace(PosixStore({str(tmp_path)!r}), "run", "digits-1", "pod"))
kept.start()
print("ours")
sys.stdout.flush()
subprocess.run(["sh", "-c", "echo theirs; echo error >&2"], check=True)
kept.close()
print("after")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout == "ours\ntheirs\nerror\nafter\n"
    assert (tmp_path / "run/logs/digits-1/pod.log").read_text() == "ours\ntheirs\nerror\n"


def test_the_age_of_this_process() -> None:
    assert 0 < process_age() < 24 * 3600
