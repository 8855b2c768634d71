"""A run moves from east to west: the log decides, and no step is lost or done twice."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.crashes import crash_at_every_write
from helpers.journeys import Twin
from helpers.operator import Harness
from sojourn_operator.resources import CHECKPOINT_TRANSFERS, MIGRATIONS, REMOTE_CLUSTERS, TRAINING_JOBS
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import condition, get_condition, is_true, reason_of, with_conditions


@pytest.fixture
def twin() -> Twin:
    twin = Twin()
    twin.job(twin.east)
    twin.settle()
    assert twin.train(twin.east, 100)
    twin.settle()
    return twin


WEST = {"target": {"cluster": "west"}}


def phase(harness: Harness, name: str = "digits") -> str:
    return str(harness.one(TRAINING_JOBS, "team", name)["status"]["phase"])


def test_the_run_goes_on_at_the_target_from_the_step_at_which_the_source_stopped(twin: Twin) -> None:
    twin.migrate(twin.east, **WEST)
    twin.settle()
    assert phase(twin.east) == "Suspended"
    assert phase(twin.west) == "Running"
    assert twin.train(twin.west, 10)
    twin.settle()
    migration = twin.migration(twin.east)
    status = migration["status"]
    assert is_true(migration, "Complete")
    assert status["phase"] == "Complete"
    assert (status["committedStep"], status["resumedStep"]) == (100, 100)
    assert [(stage["name"], stage["phase"]) for stage in status["pipeline"]] == [
        (name, "Succeeded") for name in ("Preflight", "Standby", "Checkpoint", "Transfer", "Verify", "Fence", "Resume")
    ]
    assert status["bytes"] == 100_000
    assert set(status["seconds"]) == {"Preflight", "Standby", "Checkpoint", "Transfer", "Verify", "Fence", "Resume"}
    assert reason_of(migration, "AwaitingTarget") == "TargetWentOn"
    assert twin.logs.told == ["fence of digits: holds"]


def test_downtime_is_from_the_last_commit_here_to_the_first_step_there(twin: Twin) -> None:
    twin.logs.movers_pause = True
    twin.migrate(twin.east, **WEST)
    twin.advance(40)
    assert twin.train(twin.east, 20) is (phase(twin.east) == "Running")
    last = parse_rfc3339(twin.east.one(TRAINING_JOBS, "team", "digits")["status"]["lastCommit"]["time"])
    twin.logs.movers_pause = False
    twin.advance(70)
    twin.train(twin.west, 1)
    # The operator there tells of the step at once, and ours hears it.
    twin.settle()
    expected = (twin.clock.now() - last).total_seconds()
    assert expected > 70
    assert twin.migration(twin.east)["status"]["downtimeSeconds"] == pytest.approx(expected, abs=1)


def test_what_a_migration_took_is_counted_once(twin: Twin) -> None:
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.train(twin.west, 10)
    twin.advance(60)
    status = twin.migration(twin.east)["status"]
    assert status["phase"] == "Complete"
    prefix = "sojourn_operator_migration"
    sample = twin.east.registry.get_sample_value
    assert sample(f"{prefix}s_total", {"mode": "Cold", "outcome": "Complete"}) == 1
    assert sample(f"{prefix}_bytes_total") == status["bytes"] == 100_000
    for stage, seconds in status["seconds"].items():
        labels = {"mode": "Cold", "stage": stage}
        assert sample(f"{prefix}_stage_seconds_count", labels) == 1
        assert sample(f"{prefix}_stage_seconds_sum", labels) == seconds
    assert sample(f"{prefix}_downtime_seconds_count") == 1
    assert sample(f"{prefix}_downtime_seconds_sum") == status["downtimeSeconds"]
    assert sample(f"{prefix}s_by_phase", {"phase": "Complete"}) == 1


def test_the_source_trains_until_the_target_is_ready_for_the_run(twin: Twin) -> None:
    twin.logs.pods_pause = True
    twin.migrate(twin.east, **WEST)
    twin.settle()
    status = twin.migration(twin.east)["status"]
    assert (status["phase"], status["pipeline"][1]["reason"]) == ("Standby", "Starting")
    # What there is so far is brought meanwhile.
    assert twin.west.one(CHECKPOINT_TRANSFERS, "team", "go-receive")["status"]["verified"]["step"] == 100
    assert twin.train(twin.east, 20)
    twin.settle()
    assert phase(twin.east) == "Running"
    twin.logs.pods_pause = False
    twin.west.patch(TRAINING_JOBS, "team", "digits", {"metadata": {"labels": {"look": "again"}}})
    twin.advance(20)
    assert phase(twin.east) == "Suspended"
    assert twin.train(twin.west, 1)
    twin.advance(10)
    status = twin.migration(twin.east)["status"]
    assert (status["phase"], status["committedStep"], status["resumedStep"]) == ("Complete", 120, 120)


def test_a_target_that_does_not_get_ready_never_stops_the_source(twin: Twin) -> None:
    twin.logs.pods_pause = True
    twin.migrate(twin.east, **WEST)
    twin.settle()
    status = twin.west.one(TRAINING_JOBS, "team", "digits")["status"]
    failed = condition("Failed", True, "BackoffLimitExceeded", "no such image")
    conditions = with_conditions(status["conditions"], [failed], 1, twin.clock.now())
    twin.west.patch_status(TRAINING_JOBS, "team", "digits", conditions=conditions)
    twin.advance(20)
    migration = twin.migration(twin.east)
    assert reason_of(migration, "Failed") == "TargetFailed"
    assert "no such image" in (get_condition(migration, "Failed") or {})["message"]
    assert phase(twin.east) == "Running"
    assert twin.east.one(TRAINING_JOBS, "team", "digits")["spec"].get("suspend") is not True
    assert twin.west.names(TRAINING_JOBS) == []
    assert twin.train(twin.east, 1)


def test_one_that_is_deleted_while_the_target_gets_ready_leaves_the_source_alone(twin: Twin) -> None:
    twin.logs.pods_pause = True
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.east.delete(MIGRATIONS, "team", "go")
    twin.advance(20)
    assert twin.east.names(MIGRATIONS) == []
    assert twin.west.names(TRAINING_JOBS) == []
    assert phase(twin.east) == "Running"


def test_without_standby_the_source_stops_first(twin: Twin) -> None:
    twin.logs.pods_pause = True
    twin.migrate(twin.east, **WEST, resume={"standby": False})
    twin.settle()
    assert phase(twin.east) == "Suspended"
    assert phase(twin.west) == "Running"
    assert "Standby" not in [stage["name"] for stage in twin.migration(twin.east)["status"]["pipeline"]]


def test_the_movers_go_when_all_is_told(twin: Twin) -> None:
    twin.migrate(twin.east, **WEST)
    twin.settle()
    assert twin.east.names(CHECKPOINT_TRANSFERS) == ["go-send"]
    assert twin.west.names(CHECKPOINT_TRANSFERS) == ["go-receive"]
    twin.train(twin.west, 1)
    twin.advance(10)
    assert twin.east.names(CHECKPOINT_TRANSFERS) == twin.west.names(CHECKPOINT_TRANSFERS) == []
    assert "finalizers" not in twin.migration(twin.east)["metadata"]


def test_a_fenced_source_does_not_start_again_whoever_asks(twin: Twin) -> None:
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.east.patch(TRAINING_JOBS, "team", "digits", {"spec": {"suspend": False}})
    twin.settle()
    assert phase(twin.east) == "OwnedElsewhere"


def test_until_the_target_trains_the_migration_waits_for_it(twin: Twin) -> None:
    twin.migrate(twin.east, **WEST)
    twin.settle()
    migration = twin.migration(twin.east)
    assert is_true(migration, "AwaitingTarget")
    assert not is_true(migration, "Complete")
    assert migration["status"]["fenced"]["entry"] == 7


def test_there_and_back_again(twin: Twin) -> None:
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.train(twin.west, 50)
    twin.advance(10)
    twin.migrate(twin.west, "back", target={"cluster": "east"}, resume={"workers": 1})
    twin.settle()
    assert twin.train(twin.east, 5)
    twin.settle()
    status = twin.migration(twin.west, "back")["status"]
    assert (status["phase"], status["committedStep"], status["resumedStep"]) == ("Complete", 150, 150)
    assert (phase(twin.east), phase(twin.west)) == ("Running", "Suspended")
    assert not twin.train(twin.west, 1)


def test_back_again_to_a_job_that_the_log_has_refused_meanwhile(twin: Twin) -> None:
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.train(twin.west, 50)
    twin.advance(10)
    twin.east.patch(TRAINING_JOBS, "team", "digits", {"spec": {"suspend": False}})
    twin.settle()
    assert phase(twin.east) == "OwnedElsewhere"
    twin.migrate(twin.west, "back", target={"cluster": "east"})
    twin.advance(15)
    assert twin.train(twin.east, 5)
    twin.settle()
    assert twin.migration(twin.west, "back")["status"]["phase"] == "Complete"


def test_a_source_that_goes_on_between_copy_and_fence_is_stopped_again(twin: Twin) -> None:
    """Somebody un-suspends the job at the worst moment: the fence is refused, and the new step comes along."""
    twin.logs.movers_pause = True
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.logs.movers_pause = False

    run = twin.logs.runs[0]
    plain = run.fence
    tried: list[str] = []

    def meddle(migration: str, term: int, manifest: str) -> str:
        if not tried:
            run.term += 1
            run.commit(run.term, run.step + 7)
        tried.append(manifest)
        return plain(migration, term, manifest)

    run.fence = meddle  # type: ignore[method-assign]
    twin.advance(20)
    assert twin.logs.told == ["fence of digits: MovedOn", "fence of digits: holds"]
    twin.train(twin.west, 1)
    twin.settle()
    assert twin.migration(twin.east)["status"]["resumedStep"] == 107


def _started_by_hand_while_it_is_carried(twin: Twin) -> None:
    twin.job(twin.east)
    twin.settle()
    twin.train(twin.east, 100)
    twin.settle()
    twin.logs.movers_pause = True
    twin.migrate(twin.east, **WEST)
    twin.advance(15)
    status = twin.migration(twin.east)["status"]
    assert (status["phase"], phase(twin.east)) == ("Transfer", "Suspended")
    twin.east.patch(TRAINING_JOBS, "team", "digits", {"spec": {"suspend": False}})
    # Its pods are faster than the operator that would stop them again.
    twin.east.environment_alone()
    assert twin.train(twin.east, 7)
    twin.advance(15)
    assert phase(twin.east) == "Suspended"
    twin.logs.movers_pause = False
    twin.advance(30)
    assert twin.train(twin.west, 1)
    twin.advance(15)
    status = twin.migration(twin.east)["status"]
    assert (status["phase"], status["committedStep"], status["resumedStep"]) == ("Complete", 107, 107)
    assert twin.logs.told.count("fence of digits: holds") == 1


def test_a_source_started_by_hand_while_it_is_carried_is_stopped_again_and_loses_no_step() -> None:
    _started_by_hand_while_it_is_carried(Twin())


def test_whatever_write_it_dies_at_a_source_started_by_hand_loses_no_step() -> None:
    crash_at_every_write(Twin, _started_by_hand_while_it_is_carried)


def test_cancelled_before_the_fence_everything_is_as_before(twin: Twin) -> None:
    twin.logs.movers_pause = True
    twin.migrate(twin.east, **WEST)
    twin.settle()
    assert phase(twin.east) == "Suspended"
    twin.east.delete(MIGRATIONS, "team", "go")
    twin.advance(10)
    assert twin.east.get(MIGRATIONS, "team", "go") is None
    assert phase(twin.east) == "Running"
    assert twin.east.names(CHECKPOINT_TRANSFERS) == twin.west.names(CHECKPOINT_TRANSFERS) == []
    assert twin.west.names(TRAINING_JOBS) == []
    assert twin.train(twin.east, 1)


def test_a_cluster_that_nobody_names_any_more_does_not_hold_up_a_deletion(twin: Twin) -> None:
    twin.logs.movers_pause = True
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.east.delete(REMOTE_CLUSTERS, "", "west")
    twin.east.delete(MIGRATIONS, "team", "go")
    twin.advance(15)
    assert twin.east.get(MIGRATIONS, "team", "go") is None
    assert phase(twin.east) == "Running"


def test_deleted_after_the_hand_over_it_leaves_the_rest_to_the_target(twin: Twin) -> None:
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.remote_is(twin.east, "west", ready=False)
    twin.east.delete(MIGRATIONS, "team", "go")
    twin.advance(15)
    assert twin.east.get(MIGRATIONS, "team", "go") is None
    assert phase(twin.west) == "Running"
    assert phase(twin.east) == "Suspended"


def test_a_job_that_was_suspended_before_stays_so_after_a_cancellation(twin: Twin) -> None:
    twin.east.patch(TRAINING_JOBS, "team", "digits", {"spec": {"suspend": True}})
    twin.logs.movers_pause = True
    twin.settle()
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.east.delete(MIGRATIONS, "team", "go")
    twin.advance(10)
    assert phase(twin.east) == "Suspended"


def test_past_its_deadline_it_gives_up_and_the_source_goes_on(twin: Twin) -> None:
    twin.logs.movers_pause = True
    twin.migrate(twin.east, deadlineSeconds=60, **WEST)
    twin.advance(90)
    migration = twin.migration(twin.east)
    assert is_true(migration, "Failed")
    assert reason_of(migration, "Failed") == "DeadlineExceeded"
    assert phase(twin.east) == "Running"


def test_a_transfer_that_fails_undoes_everything(twin: Twin) -> None:
    twin.logs.movers_pause = True
    twin.migrate(twin.east, **WEST)
    twin.settle()
    failed = [
        {
            "type": "Failed",
            "status": "True",
            "reason": "StoreFull",
            "message": "no room",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]
    twin.west.patch_status(CHECKPOINT_TRANSFERS, "team", "go-receive", conditions=failed)
    twin.advance(15)
    assert reason_of(twin.migration(twin.east), "Failed") == "StoreFull"
    assert phase(twin.east) == "Running"


def test_while_a_fence_is_asked_for_neither_deadline_nor_deletion_undoes_anything(twin: Twin) -> None:
    run = twin.logs.runs[0]
    plain = run.fence
    reached: list[str] = []

    def silent(migration: str, term: int, manifest: str) -> str:
        twin.logs.movers_pause = True
        reached.append(migration)
        return plain(migration, term, manifest)

    run.fence = silent  # type: ignore[method-assign]
    twin.migrate(twin.east, deadlineSeconds=60, **WEST)
    twin.settle()
    assert reached
    twin.east.delete(MIGRATIONS, "team", "go")
    twin.advance(120)
    assert phase(twin.east) == "Suspended"
    twin.logs.movers_pause = False
    twin.advance(20)
    assert twin.east.get(MIGRATIONS, "team", "go") is None
    assert phase(twin.east) == "Suspended"
    assert twin.logs.runs[-1].parent is run


def test_a_partition_at_the_fence_is_waited_out(twin: Twin) -> None:
    twin.logs.movers_pause = True
    twin.migrate(twin.east, **WEST)
    twin.settle()
    twin.logs.movers_pause = False
    run = twin.logs.runs[0]
    plain = run.fence

    def cut(migration: str, term: int, manifest: str) -> str:
        twin.east.remote_ports["west"].down = True
        return plain(migration, term, manifest)

    run.fence = cut  # type: ignore[method-assign]
    twin.advance(60)
    assert run.fenced_by
    assert phase(twin.west) == "Standby"
    assert phase(twin.east) == "Suspended"
    twin.east.remote_ports["west"].down = False
    twin.advance(180)
    assert phase(twin.west) == "Running"


def test_whatever_write_it_dies_at_it_ends_the_same_with_one_fence() -> None:
    def story(twin: Twin) -> None:
        twin.job(twin.east)
        twin.settle()
        twin.train(twin.east, 100)
        twin.settle()
        twin.migrate(twin.east, **WEST)
        twin.advance(15)
        assert twin.train(twin.west, 10)
        twin.advance(15)
        assert is_true(twin.migration(twin.east), "Complete")
        assert twin.logs.told.count("fence of digits: holds") == 1
        assert [run.term for run in twin.logs.runs] == [1, 1]

    struck = crash_at_every_write(Twin, story)
    assert any("create TrainingJob team/digits of cluster west" in point for point in struck)
    assert any("patch CheckpointTransfer team/go-send (spec.fence)" in point for point in struck)


def test_whatever_write_it_dies_at_a_cancellation_is_complete() -> None:
    def story(twin: Twin) -> None:
        twin.job(twin.east)
        twin.settle()
        twin.train(twin.east, 100)
        twin.logs.movers_pause = True
        twin.migrate(twin.east, **WEST)
        twin.advance(15)
        twin.east.delete(MIGRATIONS, "team", "go")
        twin.advance(20)
        assert phase(twin.east) == "Running"

    crash_at_every_write(Twin, story)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"source": {"trainingJob": "digit"}, **WEST}, "JobNotFound"),
        ({"target": {"cluster": "north"}}, "ClusterNotFound"),
        ({"target": {}}, "NameTaken"),
        ({"target": {"namespace": "other"}}, "NamespaceNotAllowed"),
        ({"target": {"cluster": "west", "storeRef": {"name": "elsewhere"}}}, "StoreNotFound"),
        ({"source": {"run": {"storeRef": {"name": "runs"}, "name": "digits"}}, **WEST}, "TakeoverNeeded"),
        ({"exposure": {"type": "ClusterIP"}, **WEST}, "ExposureTooNarrow"),
    ],
)
def test_what_would_fail_is_said_before_anything_moves(twin: Twin, spec: dict[str, Any], reason: str) -> None:
    twin.migrate(twin.east, **spec)
    twin.settle()
    migration = twin.migration(twin.east)
    assert reason_of(migration, "Feasible") == reason
    assert (get_condition(migration, "Feasible") or {})["status"] == "False"
    assert phase(twin.east) == "Running"
    assert twin.west.names(TRAINING_JOBS) == []


def test_a_dry_run_leaves_nothing_behind_and_goes_ahead_when_told(twin: Twin) -> None:
    twin.migrate(twin.east, dryRun=True, **WEST)
    twin.advance(30)
    migration = twin.migration(twin.east)
    assert is_true(migration, "Feasible")
    assert migration["status"]["plan"]["bytes"] == 10
    assert phase(twin.east) == "Running"
    assert twin.west.names(TRAINING_JOBS) == []
    twin.east.patch(MIGRATIONS, "team", "go", {"spec": {"dryRun": False}})
    twin.advance(15)
    assert phase(twin.west) == "Running"


def test_within_one_cluster_the_other_namespace_must_agree(twin: Twin) -> None:
    from sojourn_operator.resources import NAMESPACES

    twin.migrate(twin.east, target={"namespace": "other"})
    twin.settle()
    annotations = {"sojourn.dev/allowed-namespaces": "team"}
    twin.east.patch(NAMESPACES, "", "other", {"metadata": {"annotations": annotations}})
    twin.advance(45)
    job = twin.east.one(TRAINING_JOBS, "other", "digits")
    assert job["status"]["phase"] == "Running"
    assert phase(twin.east) == "Suspended"
