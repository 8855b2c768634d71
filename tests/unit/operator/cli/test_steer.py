"""suspend, resume, checkpoint, watch, rollback, migrate: what they ask of a cluster, what they say and exit with."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from sojourn_operator.client import JobFailed, TimedOut
from sojourn_operator.resources import MIGRATIONS, MODEL_SERVERS, TRAINING_JOBS

from .conftest import DIGEST, RUN, Sojourn, World

COMMIT = {"step": 1200, "epoch": 1, "manifest": DIGEST, "time": "2026-01-01T00:00:00Z", "bytes": 1_000_000}


def spec(world: World) -> dict[str, Any]:
    return dict(world.client.job("digits").object["spec"])


def test_suspend_waits_for_the_committed_step(sojourn: Sojourn, world: World) -> None:
    world.job()
    world.script += [
        lambda: None,
        lambda: world.report("Suspending"),
        lambda: world.report("Suspended", lastCommit=COMMIT),
    ]
    assert sojourn("suspend", "digits") == (0, "Suspended at step 1,200, all of it committed.\n", "")
    assert spec(world)["suspend"] is True


def test_an_old_status_is_not_taken_for_the_answer(world: World) -> None:
    """The phase of the generation before says nothing about this request."""
    world.job()
    world.client.port.patch(TRAINING_JOBS, "team", "digits", {"spec": {"suspend": True}})
    world.report("Suspended", lastCommit=COMMIT)
    world.client.job("digits").resume()
    with pytest.raises(TimedOut):
        world.client.job("digits").wait(timeout=5)


def test_suspending_what_fails_meanwhile_is_a_failure(sojourn: Sojourn, world: World) -> None:
    world.job()
    failed = [_condition("Failed", "BackoffLimitExceeded", "7 failures")]
    world.script.append(lambda: world.report("Failed", conditions=failed))
    code, _, err = sojourn("suspend", "digits")
    assert code == 1
    assert "TrainingJob digits is Failed: 7 failures" in err
    assert "sojourn logs digits" in err


@pytest.mark.parametrize(
    ("verb", "phase"),
    [("suspend", "Complete"), ("resume", "Failed"), ("resume", "OwnedElsewhere"), ("checkpoint", "Pending")],
)
def test_what_a_job_cannot_do_is_refused(sojourn: Sojourn, world: World, verb: str, phase: str) -> None:
    world.job(phase)
    before = spec(world)
    code, out, err = sojourn(verb, "digits")
    assert (code, out) == (4, "")
    assert phase in err
    assert spec(world) == before


def test_resume_asks_and_returns(sojourn: Sojourn, world: World) -> None:
    world.job("Suspended")
    world.client.port.patch(TRAINING_JOBS, "team", "digits", {"spec": {"suspend": True}})
    code, out, _ = sojourn("resume", "digits")
    assert (code, out) == (0, "Resumed. Watch it with: sojourn watch digits -n team\n")
    assert spec(world)["suspend"] is False


def test_a_job_whose_run_somebody_else_started_takes_it_back_by_a_changed_spec(sojourn: Sojourn, world: World) -> None:
    world.job("OwnedElsewhere", conditions=[_condition("OwnedElsewhere", "StartedElsewhere", "term 3 is newer")])
    before = world.client.job("digits").object["metadata"]["generation"]
    assert sojourn("resume", "digits")[0] == 0
    after = world.client.job("digits").object
    assert after["spec"]["suspend"] is False
    assert after["metadata"]["generation"] > before


def test_a_checkpoint_is_answered_by_its_token(sojourn: Sojourn, world: World) -> None:
    world.job(checkpointRequest={"token": "older", "step": 3})

    def answer() -> None:
        token = spec(world)["checkpoint"]["request"]
        world.report("Running", checkpointRequest={"token": token, "step": 1234})

    world.script += [lambda: None, answer]
    assert sojourn("checkpoint", "digits") == (0, "Committed step 1,234.\n", "")


def test_each_verb_gives_the_object_as_it_is_afterwards(sojourn: Sojourn, world: World) -> None:
    world.job()
    world.script.append(lambda: world.report("Suspended", lastCommit=COMMIT))
    code, out, _ = sojourn("suspend", "digits", "-o", "json")
    job = json.loads(out)
    assert (code, job["kind"], job["status"]["phase"], job["spec"]["suspend"]) == (0, "TrainingJob", "Suspended", True)
    code, out, _ = sojourn("resume", "digits", "-o", "yaml")
    assert (code, yaml.safe_load(out)["spec"]["suspend"]) == (0, False)
    world.report("Running")
    code, out, _ = sojourn("checkpoint", "digits", "--no-wait", "-o", "json")
    assert (code, json.loads(out)["spec"]["checkpoint"]["request"][:4]) == (0, "cli-")
    code, out, err = sojourn("migrate", "digits", "--to-namespace", "other", "--no-wait", "-o", "json")
    assert (code, json.loads(out)["kind"]) == (0, "Migration")
    assert err.startswith("Migration digits")


@pytest.mark.parametrize(
    ("options", "resume"),
    [
        ((), {"standby": True}),
        (("--no-standby",), {"standby": False}),
        (("--no-standby", "--copy"), {"standby": True}),
        (("--no-resume",), None),
    ],
)
def test_whether_the_target_gets_ready_first_can_be_chosen(
    sojourn: Sojourn, world: World, options: tuple[str, ...], resume: dict[str, Any] | None
) -> None:
    world.job()
    assert sojourn("migrate", "digits", "--to-namespace", "other", "--no-wait", *options)[0] == 0
    (made,) = world.cluster.list(MIGRATIONS, "team").items
    assert made["spec"].get("resume") == resume


def test_waiting_too_long_has_an_exit_code_of_its_own(sojourn: Sojourn, world: World) -> None:
    world.job()
    code, _, err = sojourn("checkpoint", "digits", "--timeout", "5")
    assert code == 6
    assert "takes longer than 5 s" in err


def test_a_job_that_is_not_there_is_named_with_those_that_are(sojourn: Sojourn, world: World) -> None:
    world.job()
    code, _, err = sojourn("suspend", "digit")
    assert code == 1
    assert "there is no TrainingJob 'digit' in namespace team" in err
    assert "There are: digits." in err


def test_watch_tells_a_run_from_start_to_end(sojourn: Sojourn, world: World) -> None:
    world.job("Pending", conditions=[_condition("Ready", "Unschedulable", "no node has 2 GPUs", "False")])

    def launch() -> None:
        world.attempt(phase="Starting", launch=[{"phase": "ray", "seconds": 3.2}])

    def start() -> None:
        world.attempt(
            phase="Running", run=RUN, totalSteps=2400, head={"pod": "digits-1-0-x", "dashboardURL": "http://d"}
        )
        world.report("Running")

    def step() -> None:
        world.attempt(
            step=1250, epoch=1, metrics={"loss": 0.5, "accuracy": 0.9}, lastCommit=COMMIT, samplesPerSecond=99.0
        )

    def export() -> None:
        world.attempt(phase="Succeeded", step=2400, exports=[{"version": 1, "formats": ["SavedModel"]}])

    def end() -> None:
        conditions = [_condition("Complete", "Completed", "all steps are done")]
        world.report("Complete", step=2400, metrics={"loss": 0.1}, activeSeconds=60, conditions=conditions)

    world.script += [launch, start, step, export, end]
    code, out, _ = sojourn("watch", "digits", "--output", "plain")
    lines = [line[10:] for line in out.splitlines()]
    assert code == 0
    assert lines[0] == "Unschedulable: no node has 2 GPUs"
    assert lines[1] == "launch: ray, 3.20 s"
    assert "Ray dashboard at http://d" in lines
    assert (
        "digits: attempt digits-1 (term 1) trains from the initial weights to step 2,400, 2 workers, Default" in lines
    )
    assert any(line.startswith("step 1,250/2,400 (52%), epoch 2/2, loss 0.5000, accuracy 0.9000") for line in lines)
    assert "committed step 1,200: 1.0 MB" in lines
    assert "exported version 1 as SavedModel" in lines
    assert lines[-1].startswith("completed 2,400 steps in 60.0 s: loss 0.1000")


def test_watch_tells_of_a_lost_attempt_and_a_suspension(sojourn: Sojourn, world: World) -> None:
    world.job()
    world.attempt(phase="Running", run=RUN, totalSteps=2400, step=100)

    def lose() -> None:
        world.attempt(
            phase="Failed", outcome={"exitCode": 137, "reason": "OOMKilled", "message": "the head was killed"}
        )
        world.report("Running", failures=1)
        world.attempt(2, phase="Starting")

    world.script += [lose, lambda: world.report("Suspended", lastCommit=COMMIT)]
    code, out, _ = sojourn("watch", "digits", "--output", "json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    failed = next(event for event in events if event["event"] == "AttemptFailed")
    assert (failed["attempt"], failed["error"], failed["failures"]) == ("digits-1", "the head was killed", 1)
    assert events[-1] | {"time": 0, "reason": ""} == {"event": "Suspended", "time": 0, "step": 1200, "reason": ""}


def test_wait_in_python_raises_what_went_wrong(world: World) -> None:
    world.job("OwnedElsewhere", conditions=[_condition("Ready", "Fenced", "the run is on cluster west", "False")])
    with pytest.raises(JobFailed, match="the run is on cluster west"):
        world.client.job("digits").wait()


def server(world: World, *versions: dict[str, Any], active: int) -> None:
    kind = {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": "digits", "namespace": "team"},
    }
    world.cluster.create({**kind, "spec": {"model": {"storeRef": {"name": "runs"}, "run": "digits"}}})
    status = {"activeVersion": active, "versions": list(versions), "observedGeneration": 1}
    world.cluster.patch_status(MODEL_SERVERS, "team", "digits", {"status": status})


def test_rollback_goes_to_the_version_before(sojourn: Sojourn, world: World) -> None:
    entries = [
        {"revision": "v3-a", "version": 3, "state": "Active"},
        {"revision": "v2-a", "version": 2, "state": "Failed"},
        {"revision": "v1-a", "version": 1, "state": "Standby"},
    ]
    server(world, *entries, active=3)

    def serve() -> None:
        conditions = [_condition("Progressing", "UpToDate", "", "False")]
        status = {"activeVersion": 1, "observedGeneration": 2, "conditions": conditions}
        world.cluster.patch_status(MODEL_SERVERS, "team", "digits", {"status": status})

    world.script += [lambda: None, serve]
    assert sojourn("rollback", "digits") == (0, "Version 1 serves.\n", "")
    assert world.client.server("digits").object["spec"]["rollback"] == {"toVersion": 1}
    code, out, _ = sojourn("rollback", "digits", "--cancel", "--no-wait", "-o", "json")
    assert (code, json.loads(out)["kind"]) == (0, "ModelServer")
    assert "rollback" not in world.client.server("digits").object["spec"]


def test_rollback_without_an_earlier_version_is_refused(sojourn: Sojourn, world: World) -> None:
    server(world, {"revision": "v1-a", "version": 1, "state": "Active"}, active=1)
    code, _, err = sojourn("rollback", "digits")
    assert code == 4
    assert "has served no version but 1" in err


def test_migrate_makes_a_migration_and_tells_its_stages(sojourn: Sojourn, world: World) -> None:
    world.job()
    cluster(world, "west")

    def end() -> None:
        (made,) = world.client.all(MIGRATIONS, "team")
        stages = [
            {"name": "Preflight", "phase": "Succeeded"},
            {"name": "Transfer", "phase": "Succeeded", "progress": {"done": 5000, "total": 5000, "unit": "bytes"}},
            {"name": "Resume", "phase": "Pending"},
        ]
        status = {
            "pipeline": stages,
            "committedStep": 1200,
            "resumedStep": 1200,
            "bytes": 5000,
            "downtimeSeconds": 4.5,
            "conditions": [_condition("Complete", "Migrated", "it goes on at west")],
        }
        world.cluster.patch_status(MIGRATIONS, "team", made["metadata"]["name"], {"status": status})

    world.script.append(end)
    code, out, err = sojourn("migrate", "digits", "--to", "west", "--serve", "--replicas", "2", "--to-store", "fast")
    (made,) = world.client.all(MIGRATIONS, "team")
    assert code == 0
    assert made["metadata"]["name"] == "digits-0101-000000"
    assert made["spec"]["mode"] == "Cold"
    assert made["spec"]["source"] == {"trainingJob": "digits"}
    assert made["spec"]["target"] == {"cluster": "west", "storeRef": {"name": "fast"}}
    assert made["spec"]["serve"]["replicas"] == 2
    assert "resume" in made["spec"]
    assert "Transfer  Succeeded  5.0 kB of 5.0 kB" in err
    assert out.splitlines() == [
        "Committed step   1,200",
        "Resumed step     1,200",
        "Bytes            5.0 kB",
        "Downtime         4.50 s",
    ]


def test_a_dry_run_that_would_fail_exits_with_1(sojourn: Sojourn, world: World) -> None:
    world.job()
    cluster(world, "west")

    def judge() -> None:
        (made,) = world.client.all(MIGRATIONS, "team")
        conditions = [_condition("Feasible", "NoRoom", "the store at west has 1 GB left, 5 GB are needed", "False")]
        status = {"conditions": conditions, "plan": {"bytes": 5}}
        world.cluster.patch_status(MIGRATIONS, "team", made["metadata"]["name"], {"status": status})

    world.script.append(judge)
    code, _, err = sojourn("migrate", "digits", "--to", "west", "--dry-run")
    assert code == 1
    assert "NoRoom: the store at west has 1 GB left" in err


def test_an_unknown_cluster_is_named_before_anything_is_made(sojourn: Sojourn, world: World) -> None:
    world.job()
    cluster(world, "west")
    code, _, err = sojourn("migrate", "digits", "--to", "wst")
    assert code == 1
    assert "there is no RemoteCluster 'wst'" in err
    assert "There are: west." in err
    assert world.client.all(MIGRATIONS, "team") == []


def cluster(world: World, name: str) -> None:
    spec = {"kubeconfigSecretRef": {"name": "west"}, "allowedNamespaces": ["*"]}
    kind = {"apiVersion": "sojourn.dev/v1alpha1", "kind": "RemoteCluster", "metadata": {"name": name}}
    world.cluster.create({**kind, "spec": spec})


def _condition(kind: str, reason: str, message: str, status: str = "True") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
