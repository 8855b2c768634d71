"""What a job makes of losses, refusals and evictions, with the pods played by the test."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from helpers.jobs import INDEX, NAMESPACE, World
from helpers.manifests import JOB, changed
from sojourn_operator.resources import (
    EVENTS,
    JOBS,
    PODS,
    TRAINING_ATTEMPTS,
)


def world(changes: dict[str, Any] | None = None, **options: Any) -> World:
    return World(changed(JOB, changes or {}), **options)


def events(it: World) -> list[str]:
    return [event["reason"] for event in it.harness.world.list(EVENTS, NAMESPACE).items]


class TestFailures:
    def test_a_lost_head_makes_the_next_attempt_once_all_pods_are_gone(self) -> None:
        it = world()
        it.start()
        pods = it.harness.world.list(PODS, NAMESPACE).items
        (worker,) = [pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"][INDEX] == "1"]
        it.harness.patch(PODS, NAMESPACE, worker, {"metadata": {"finalizers": ["test/slow-to-stop"]}})
        it.end_head(137, words="Killed")
        it.harness.advance(30)
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]
        assert it.condition("Running") == ("False", "Restarting")
        it.harness.patch(PODS, NAMESPACE, worker, {"metadata": {"finalizers": None}})
        it.start(2)
        assert it.phase == "Running"
        assert it.job["status"]["failures"] == 1
        assert it.attempt(2)["spec"]["priorFailures"] == 1
        assert it.attempt()["status"]["outcome"]["exitCode"] == 137
        assert "AttemptLost" in events(it)

    def test_a_pod_that_nobody_can_reach_changes_nothing(self) -> None:
        it = world()
        it.start()
        it.harness.delete(PODS, NAMESPACE, it.head()["metadata"]["name"])
        it.start(2)
        it.report(1, phase="Running", step=99)
        assert it.attempt()["status"]["phase"] == "Lost"
        assert it.job["status"]["attempt"] == "digits-2"
        assert "step" not in it.job["status"]

    def test_pods_that_failed_stay_for_their_logs(self) -> None:
        it = world()
        it.start()
        it.end_head(1)
        it.start(2)
        phases = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in it.harness.world.list(PODS).items}
        assert phases["digits-1-0-0"] == "Failed"
        assert "digits-1-1-0" not in phases

    def test_failures_without_a_new_checkpoint_are_counted(self) -> None:
        it = world({"spec.backoffLimit": 2})
        for number in (1, 2, 3):
            it.start(number)
            it.end_head(1, number)
            it.harness.advance(60)
        assert it.condition("Failed") == ("True", "BackoffLimitExceeded")
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1", "digits-2", "digits-3"]
        assert "completionTime" in it.job["status"]

    def test_a_new_checkpoint_forgives_them(self) -> None:
        it = world({"spec.backoffLimit": 1})
        for number in (1, 2, 3, 4):
            it.start(number)
            it.commit(number * 10, number)
            it.end_head(1, number)
            it.harness.advance(60)
        assert it.job["status"]["failures"] == 1
        assert it.phase != "Failed"

    def test_a_restored_checkpoint_does_not(self) -> None:
        it = world({"spec.backoffLimit": 1})
        it.start()
        it.commit(10)
        old = it.attempt()["status"]["lastCommit"]
        it.end_head(1)
        it.harness.advance(60)
        it.start(2)
        it.report(2, lastCommit=old)
        it.end_head(1, 2)
        assert it.condition("Failed") == ("True", "BackoffLimitExceeded")

    def test_restarts_inside_an_attempt_count_as_well(self) -> None:
        it = world({"spec.backoffLimit": 2})
        it.start()
        it.report(failures=2)
        it.end_head(1)
        assert it.condition("Failed") == ("True", "BackoffLimitExceeded")

    def test_disruptions_do_not_count(self) -> None:
        it = world({"spec.backoffLimit": 0})
        for number in (1, 2, 3):
            it.start(number)
            it.end_head(137, number, disrupted=True)
        assert it.harness.names(TRAINING_ATTEMPTS)[-1] == "digits-4"
        assert it.job["status"]["failures"] == 0

    def test_a_vanished_head_does_not_count(self) -> None:
        it = world({"spec.backoffLimit": 0})
        it.start()
        it.harness.delete(PODS, NAMESPACE, it.head()["metadata"]["name"])
        it.start(2)
        assert it.phase == "Running"

    def test_attempts_wait_longer_and_longer(self) -> None:
        it = world()
        starts = []
        for number in (1, 2, 3, 4):
            while number > len(it.harness.names(TRAINING_ATTEMPTS)):
                it.harness.advance(1)
            starts.append(it.harness.clock.monotonic())
            it.start(number)
            it.end_head(1, number)
        waits = [round(b - a) for a, b in pairwise(starts)]
        assert waits == [0, 10, 20]

    @pytest.mark.parametrize(("code", "reason"), [(2, "InvalidTask"), (4, "RefusedByRun"), (5, "CorruptData")], ids=str)
    def test_what_trying_again_cannot_help_fails_at_once(self, code: int, reason: str) -> None:
        it = world()
        it.start()
        it.report(phase="Failed", outcome={"exitCode": code, "reason": "Raised", "message": "no such column"})
        it.end_head(code)
        assert it.condition("Failed") == ("True", reason)
        assert "no such column" in it.job["status"]["conditions"][0]["message"]

    def test_a_store_that_lets_nobody_in_fails_at_once(self) -> None:
        it = world()
        it.start()
        words = "cannot create s3://runs/a: 403"
        it.report(phase="Failed", outcome={"exitCode": 1, "reason": "StoreDenied", "message": words})
        it.end_head(1)
        assert it.condition("Failed") == ("True", "StoreDenied")
        assert words in it.job["status"]["conditions"][0]["message"]
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]
        assert "StoreDenied" in events(it)

    def test_rights_that_are_lost_in_training_are_asked_for_once_more(self) -> None:
        it = world()
        it.start()
        it.commit(1, 1)
        it.report(phase="Failed", outcome={"exitCode": 1, "reason": "StoreDenied", "message": "403"})
        it.end_head(1)
        it.start(2)
        assert it.phase == "Running"

    def test_a_head_that_crashes_before_it_reports_is_a_failure(self) -> None:
        it = world({"spec.backoffLimit": 0})
        it.harness.settle()
        it.end_head(127, words="python: not found")
        assert it.condition("Failed") == ("True", "BackoffLimitExceeded")
        assert "python: not found" in it.job["status"]["conditions"][0]["message"]

    def test_half_started_pods_are_given_up(self) -> None:
        it = world({"spec.startupDeadlineSeconds": 100})
        it.harness.settle()
        it.harness.advance(99)
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]
        it.harness.advance(2)
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1", "digits-2"]
        assert "AttemptStartupDeadlineExceeded" in events(it)

    def test_why_pods_do_not_start_is_said(self) -> None:
        it = world()
        it.harness.settle()
        head = it.head()["metadata"]["name"]
        waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
        state = [{"name": "trainer", "state": {"waiting": waiting}}]
        it.harness.patch_status(PODS, NAMESPACE, head, phase="Pending", containerStatuses=state)
        it.harness.settle()
        assert it.condition("Running") == ("False", "ImagePullFailed")
        assert "ImagePullFailed" in events(it)

    def test_old_attempts_are_forgotten(self) -> None:
        it = world({"spec.backoffLimit": 100})
        for number in range(1, 9):
            it.start(number)
            it.commit(number, number)
            it.end_head(1, number)
            it.harness.advance(1)
        assert it.harness.names(TRAINING_ATTEMPTS) == [f"digits-{number}" for number in range(5, 10)]


class TestOwnedElsewhere:
    def refused(self) -> World:
        it = world()
        it.start()
        it.report(phase="Failed", outcome={"exitCode": 4, "reason": "OwnedElsewhere", "message": "to west"})
        it.end_head(4)
        return it

    def test_a_fenced_run_does_not_start_again(self) -> None:
        it = self.refused()
        it.harness.advance(3600)
        assert it.phase == "OwnedElsewhere"
        assert it.condition("OwnedElsewhere") == ("True", "Fenced")
        assert it.condition("Ready") == ("False", "Fenced")
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]

    def test_a_changed_job_asks_the_log_again(self) -> None:
        it = self.refused()
        it.patch(suspend=True)
        assert it.phase == "OwnedElsewhere"
        it.patch(suspend=False)
        it.start(2)
        assert it.phase == "Running"
        assert it.condition("OwnedElsewhere")[0] == "False"

    def test_a_run_that_somebody_else_has_started_is_not_taken_back(self) -> None:
        it = world()
        it.start()
        it.report(phase="Failed", outcome={"exitCode": 4, "reason": "StaleTerm", "message": "term 3 is newer"})
        it.end_head(4)
        it.harness.advance(3600)
        assert it.condition("OwnedElsewhere") == ("True", "StartedElsewhere")
        assert "term 3 is newer" in it.message("OwnedElsewhere")
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]
        # Said again while it rests, and until somebody decides.
        it.patch(suspend=True)
        assert it.condition("OwnedElsewhere") == ("True", "StartedElsewhere")
        it.patch(suspend=False)
        it.start(2)
        assert it.phase == "Running"


class TestEviction:
    """Kueue suspends the Job itself."""

    def evict(self, it: World) -> None:
        it.harness.patch(JOBS, NAMESPACE, "digits-1", {"spec": {"suspend": True}})
        it.harness.settle()

    def test_it_goes_on_under_the_same_attempt(self) -> None:
        it = world()
        it.start()
        it.commit(20)
        it.report(phase="Suspended")
        self.evict(it)
        assert it.phase == "Pending"
        assert it.condition("Running") == ("False", "Evicted")
        assert it.harness.names(JOBS) == ["digits-1"]
        assert it.harness.names(PODS) == []
        it.harness.patch(JOBS, NAMESPACE, "digits-1", {"spec": {"suspend": False}})
        it.start(1)
        assert it.phase == "Running"
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]
        assert it.job["status"]["failures"] == 0

    def test_pods_that_had_no_time_to_commit_may_be_replaced_too(self) -> None:
        it = world()
        it.start()
        self.evict(it)
        assert it.attempt()["status"]["phase"] == "Pending"
        it.harness.patch(JOBS, NAMESPACE, "digits-1", {"spec": {"suspend": False}})
        it.start(1)
        assert it.phase == "Running"

    def test_the_startup_deadline_starts_anew(self) -> None:
        it = world({"spec.startupDeadlineSeconds": 60})
        it.start()
        it.harness.advance(600)
        self.evict(it)
        it.harness.advance(3600)
        it.harness.patch(JOBS, NAMESPACE, "digits-1", {"spec": {"suspend": False}})
        it.harness.advance(50)
        it.start(1)
        assert it.phase == "Running"

    def test_a_job_that_waits_for_its_first_admission_is_queued(self) -> None:
        it = world(job_controller=False)
        it.harness.settle()
        self.evict(it)
        it.harness.advance(3600)
        assert it.condition("Running") == ("False", "Queued")

    def test_an_evicted_job_that_is_suspended_has_nothing_to_commit(self) -> None:
        it = world()
        it.start()
        self.evict(it)
        it.patch(suspend=True)
        assert it.phase == "Suspended"
        assert it.harness.names(JOBS) == []

    def test_a_drained_head_is_replaced_under_the_same_attempt(self) -> None:
        it = world({"spec.startupDeadlineSeconds": 60})
        it.start()
        it.harness.advance(600)
        it.commit(5)
        it.report(phase="Suspended")
        it.end_head(143, disrupted=True)
        it.start(1)
        assert it.phase == "Running"
        assert it.harness.names(TRAINING_ATTEMPTS) == ["digits-1"]
