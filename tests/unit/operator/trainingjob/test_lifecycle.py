"""A job from its first attempt to its end, with the pods played by the test."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from helpers.jobs import NAMESPACE, World
from helpers.manifests import JOB, changed
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    EVENTS,
    JOBS,
    NAMESPACES,
    NETWORK_POLICIES,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    TRAINING_ATTEMPTS,
    TRAINING_JOBS,
)


def world(changes: dict[str, Any] | None = None, **options: Any) -> World:
    return World(changed(JOB, changes or {}), **options)


def events(it: World) -> list[str]:
    return [event["reason"] for event in it.harness.world.list(EVENTS, NAMESPACE).items]


def test_it_trains_and_completes() -> None:
    it = world()
    it.start()
    assert it.phase == "Running"
    it.commit(40)
    it.complete()
    status = it.job["status"]
    assert it.phase == "Complete"
    assert it.condition("Complete") == ("True", "Trained")
    assert it.condition("Running") == ("False", "Ended")
    assert (status["runId"], status["prefix"], status["term"], status["attempts"]) == ("run", "team/digits-run", 1, 1)
    assert status["lastCommit"]["step"] == 40
    assert status["progress"] == {"done": 100, "total": 100, "unit": "steps"}
    assert status["store"] == {"name": "runs"}
    assert {"AttemptStarted", "Training", "Complete"} <= set(events(it))
    assert [stage["phase"] for stage in status["pipeline"]] == 3 * ["Succeeded"]


def test_one_that_stands_by_waits_for_its_run() -> None:
    it = world({"spec.standby": True})
    it.harness.settle()
    head = it.head(1)["metadata"]
    assert it.attempt(1)["spec"]["standby"] is True
    it.report(1, phase="Standby", head={"pod": head["name"], "uid": head["uid"]})
    assert it.phase == "Standby"
    assert it.condition("Running") == ("False", "Standby")
    assert "Standby" in events(it)
    it.harness.advance(3600)
    it.report(1, heartbeatTime=it.now)
    assert it.phase == "Standby"  # no deadline runs while it waits
    it.harness.patch(TRAINING_JOBS, NAMESPACE, "digits", {"metadata": {"annotations": {"sojourn.dev/run-id": "given"}}})
    it.patch(standby=False)
    spec = it.attempt(1)["spec"]
    assert (spec["standby"], spec["runId"]) == (False, "given")
    it.start()
    assert (it.phase, it.job["status"]["attempts"]) == ("Running", 1)


def test_one_that_stands_by_is_suspended_at_once() -> None:
    it = world({"spec.standby": True})
    it.harness.settle()
    head = it.head(1)["metadata"]
    it.report(1, phase="Standby", head={"pod": head["name"], "uid": head["uid"]})
    it.patch(suspend=True)
    it.harness.settle()
    assert it.harness.names(JOBS) == []


def test_a_second_job_that_names_the_run_of_the_first_does_not_start() -> None:
    it = world()
    it.start()
    metadata = {"name": "twin", "namespace": NAMESPACE, "annotations": {"sojourn.dev/run-id": "run"}}
    it.harness.create({**it.job, "metadata": metadata, "status": {}})
    it.harness.settle()
    twin = it.harness.one(TRAINING_JOBS, NAMESPACE, "twin")
    (feasible,) = [one for one in twin["status"]["conditions"] if one["type"] == "Feasible"]
    assert (feasible["status"], feasible["reason"], twin["status"]["phase"]) == ("False", "RunInUse", "Pending")
    assert "TrainingJob digits in namespace team" in feasible["message"]
    assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]
    assert "RunInUse" in events(it)
    assert it.phase == "Running"
    it.complete()
    it.harness.delete(TRAINING_JOBS, NAMESPACE, "digits")
    it.harness.advance(60)
    twin = it.harness.one(TRAINING_JOBS, NAMESPACE, "twin")
    (feasible,) = [one for one in twin["status"]["conditions"] if one["type"] == "Feasible"]
    assert (feasible["status"], feasible["reason"]) == ("True", "Checked")


def test_a_complete_job_is_left_alone() -> None:
    it = world()
    it.start()
    it.complete()
    it.harness.delete(JOBS, NAMESPACE, "digits-1")
    it.patch(suspend=True)
    it.patch(suspend=False)
    it.harness.restart()
    it.harness.advance(3600)
    assert it.harness.names(JOBS) == []
    assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]


def test_the_operator_knows_its_token_only_while_it_makes_it() -> None:
    it = world()
    it.start()
    secret = it.harness.one(SECRETS, NAMESPACE, "digits-ray-token")
    assert base64.b64decode(secret["data"]["token"]) == b"token"
    assert [write for write in it.harness.port.writes if "Secret" in write] == ["create Secret team/digits-ray-token"]


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        (SERVICE_ACCOUNTS, "digits-trainer"),
        (ROLES, "digits-trainer"),
        (ROLE_BINDINGS, "digits-trainer"),
        (NETWORK_POLICIES, "digits-trainer"),
        (SERVICES, "digits-dashboard"),
        (SERVICES, "digits-1"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_what_is_deleted_comes_back(resource: Any, name: str) -> None:
    it = world()
    it.start()
    it.harness.delete(resource, NAMESPACE, name)
    it.harness.settle()
    it.harness.one(resource, NAMESPACE, name)


def test_what_is_changed_is_changed_back() -> None:
    it = world()
    it.start()
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    it.harness.patch(ROLES, NAMESPACE, "digits-trainer", {"rules": everything})
    it.harness.settle()
    rules = it.harness.one(ROLES, NAMESPACE, "digits-trainer")["rules"]
    assert [(rule["resources"], rule["resourceNames"], rule["verbs"]) for rule in rules] == [
        (["trainingattempts"], ["digits-1"], ["get", "watch"]),
        (["trainingattempts/status"], ["digits-1"], ["patch"]),
    ]


def test_a_job_that_others_edit_is_not_written_again() -> None:
    it = world()
    it.start()
    it.harness.patch(JOBS, NAMESPACE, "digits-1", {"metadata": {"annotations": {"kueue.x-k8s.io/admitted": "yes"}}})
    it.harness.restart()
    it.harness.advance(3600)
    assert [write for write in it.harness.port.writes if " Job " in write] == ["create Job team/digits-1"]


def test_a_deleted_job_comes_back_as_the_next_attempt() -> None:
    it = world()
    it.start()
    it.commit(10)
    it.harness.delete(JOBS, NAMESPACE, "digits-1")
    it.start(2)
    assert it.harness.names(JOBS) == ["digits-2"]
    assert it.job["status"]["failures"] == 0
    assert it.attempt(2)["spec"]["runId"] == "run"


def test_a_deleted_attempt_comes_back() -> None:
    it = world()
    it.start()
    it.harness.delete(TRAINING_ATTEMPTS, NAMESPACE, "digits-1")
    it.start(1)
    assert it.phase == "Running"


class TestSuspension:
    def test_a_job_created_suspended_waits_and_says_whether_it_could_start(self) -> None:
        it = world({"spec.suspend": True})
        it.harness.settle()
        assert it.phase == "Suspended"
        assert it.condition("Feasible") == ("True", "Checked")
        assert it.harness.names(TRAINING_ATTEMPTS) == []
        it.patch(suspend=False)
        it.start()
        assert it.phase == "Running"

    def test_it_commits_stops_and_goes_on_from_there(self) -> None:
        it = world()
        it.start()
        it.commit(30)
        it.patch(suspend=True)
        assert it.phase == "Suspending"
        assert it.attempt()["spec"]["stop"]["reason"] == "Suspend"
        it.commit(37)
        it.answer_stop(37)
        assert it.phase == "Suspended"
        assert it.condition("Suspended") == ("True", "Requested")
        assert it.job["status"]["lastCommit"]["step"] == 37
        assert it.harness.names(JOBS) == []
        assert it.harness.names(PODS) == []
        it.patch(suspend=False)
        it.start(2)
        assert it.phase == "Running"
        assert it.condition("Suspended") == ("False", "NotRequested")
        assert it.job["status"]["failures"] == 0

    def test_pods_that_do_not_answer_are_stopped_after_their_grace_period(self) -> None:
        it = world({"spec.terminationGracePeriodSeconds": 20})
        it.start()
        it.patch(suspend=True)
        it.harness.advance(15)
        assert it.phase == "Suspending"
        it.harness.advance(10)
        assert it.phase == "Suspended"
        assert it.harness.names(JOBS) == []
        assert it.attempt()["status"]["conditions"][-1]["reason"] == "PodsGone"

    def test_suspended_and_resumed_at_once(self) -> None:
        it = world()
        it.start()
        it.patch(suspend=True)
        it.patch(suspend=False)
        it.answer_stop(12)
        it.start(2)
        assert it.phase == "Running"

    def test_completing_while_suspension_is_asked_for_is_completing(self) -> None:
        it = world()
        it.start()
        it.patch(suspend=True)
        it.complete()
        assert it.phase == "Complete"

    def test_nothing_to_commit_means_nothing_to_wait_for(self) -> None:
        it = world()
        it.harness.settle()
        it.patch(suspend=True)
        assert it.phase == "Suspended"
        assert it.harness.names(JOBS) == []


class TestDeadlines:
    def test_activity_is_counted_across_suspensions(self) -> None:
        it = world({"spec.activeDeadlineSeconds": 100})
        it.start()
        it.harness.advance(60)
        it.patch(suspend=True)
        it.answer_stop(5)
        assert it.job["status"]["activeSeconds"] == 60
        it.harness.advance(1000)
        it.patch(suspend=False)
        it.start(2)
        it.harness.advance(30)
        assert it.phase == "Running"
        it.harness.advance(20)
        assert it.attempt(2)["spec"]["stop"]["reason"] == "Deadline"
        it.answer_stop(9, 2)
        assert it.condition("Failed") == ("True", "DeadlineExceeded")

    def test_a_finished_job_is_deleted_after_its_time(self) -> None:
        it = world({"spec.ttlSecondsAfterFinished": 300})
        it.start()
        it.complete()
        it.harness.advance(299)
        assert it.harness.names(TRAINING_JOBS) == ["digits"]
        it.harness.advance(2)
        assert it.harness.names(TRAINING_JOBS) == []
        assert it.harness.names(JOBS) == []


class TestRequests:
    def test_a_checkpoint_on_request(self) -> None:
        it = world()
        it.start()
        it.patch(checkpoint={"request": "before-lunch"})
        assert it.attempt()["spec"]["checkpointRequest"] == "before-lunch"
        it.report(checkpointRequest={"token": "before-lunch", "step": 21})
        assert it.job["status"]["checkpointRequest"] == {"token": "before-lunch", "step": 21}
        assert "CheckpointCommitted" in events(it)
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]

    def test_another_spec_means_another_attempt(self) -> None:
        it = world()
        it.start()
        it.patch(workers={"replicas": 4})
        assert it.attempt()["spec"]["stop"]["reason"] == "Update"
        it.answer_stop(8)
        it.harness.settle()
        assert it.harness.one(JOBS, NAMESPACE, "digits-2")["spec"]["completions"] == 4

    @pytest.mark.parametrize(
        "change", [{"backoffLimit": 9}, {"ttlSecondsAfterFinished": 5}, {"activeDeadlineSeconds": 9999}], ids=str
    )
    def test_what_pods_do_not_see_changes_without_one(self, change: dict[str, Any]) -> None:
        it = world()
        it.start()
        it.patch(**change)
        assert "stop" not in it.attempt()["spec"]

    def test_another_default_image_restarts_nothing(self) -> None:
        it = world()
        it.start()
        object.__setattr__(it.harness.settings, "trainer_image", "sojourn-trainer:next")
        it.harness.restart()
        it.harness.settle()
        assert "stop" not in it.attempt()["spec"]

    def test_somebody_elses_job_is_not_touched(self) -> None:
        it = world({"spec.managedBy": "kueue.x-k8s.io/multikueue"})
        it.harness.settle()
        assert it.harness.port.writes == []


class TestProgress:
    def test_it_reaches_the_status_at_most_every_ten_seconds(self) -> None:
        it = world()
        it.start()
        it.harness.advance(20)
        before = len(it.harness.port.writes)
        for step in range(1, 31):
            it.report(step=step, etaSeconds=100.0 - step)
            it.harness.advance(1)
        assert len(it.harness.port.writes) - before <= 4
        it.harness.advance(10)
        assert it.job["status"]["step"] == 30


def test_metrics() -> None:
    it = world()
    it.start()
    it.end_head(1)
    it.start(2)
    jobs = "sojourn_operator_training_jobs"
    assert it.registry.get_sample_value(jobs, {"phase": "Running"}) == 1
    assert it.registry.get_sample_value(jobs, {"phase": "Failed"}) == 0
    assert it.registry.get_sample_value("sojourn_operator_attempts_ended_total", {"reason": "Lost"}) == 1


class TestStores:
    def test_a_store_that_is_not_ready_is_waited_for(self) -> None:
        it = world(store_ready=False)
        it.harness.settle()
        assert it.condition("Feasible") == ("False", "StoreNotReady")
        it.probe("False", "NoExclusiveCreate")
        it.harness.settle()
        assert "NoExclusiveCreate" in it.job["status"]["conditions"][0]["message"]
        assert it.harness.names(TRAINING_ATTEMPTS) == []
        it.probe("True", "Probed")
        it.start()
        assert it.phase == "Running"

    def test_a_missing_store_is_named(self) -> None:
        it = world()
        it.harness.delete(CHECKPOINT_STORES, NAMESPACE, "runs")
        it.harness.settle()
        assert it.condition("Feasible") == ("False", "StoreNotFound")


class TestDeletion:
    def test_a_running_job_commits_first(self) -> None:
        it = world()
        it.start()
        it.harness.delete(TRAINING_JOBS, NAMESPACE, "digits")
        it.harness.settle()
        assert it.attempt()["spec"]["stop"]["reason"] == "Delete"
        it.answer_stop(5)
        assert it.harness.names(TRAINING_JOBS) == []
        assert it.harness.names(JOBS) == []
        assert it.harness.names(SECRETS) == []

    def test_but_not_for_ever(self) -> None:
        it = world({"spec.terminationGracePeriodSeconds": 20})
        it.start()
        it.harness.delete(TRAINING_JOBS, NAMESPACE, "digits")
        it.harness.advance(60)
        assert it.harness.names(TRAINING_JOBS) == []

    def test_deleted_while_the_operator_was_down(self) -> None:
        it = world()
        it.start()
        it.complete()
        it.harness.delete(TRAINING_JOBS, NAMESPACE, "digits")
        it.harness.restart()
        it.harness.settle()
        assert it.harness.names(TRAINING_JOBS) == []

    def test_a_namespace_that_goes_is_not_held_up(self) -> None:
        it = world()
        it.start()
        it.harness.delete(NAMESPACES, "", NAMESPACE)
        it.harness.settle()
        assert it.harness.get(NAMESPACES, "", NAMESPACE) is None


def test_a_job_of_another_time_is_explained() -> None:
    it = world(job_controller=False)
    it.harness.world._admission = lambda resource, obj, old: obj  # as if the CRD were newer than the operator
    it.harness.patch(TRAINING_JOBS, NAMESPACE, "digits", {"spec": {"quantum": True}})
    it.harness.settle()
    assert it.condition("Feasible") == ("False", "InvalidSpec")
