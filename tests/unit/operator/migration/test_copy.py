"""Copies: the source goes on, and what arrives is a run, a checkpoint or a model of its own."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.journeys import Twin
from sojourn_operator.resources import CHECKPOINT_TRANSFERS, CHECKPOINTS, MIGRATIONS, MODEL_SERVERS, TRAINING_JOBS
from sojourn_operator.runtime.conditions import condition, is_true, reason_of, with_conditions

WEST = {"target": {"cluster": "west"}}


@pytest.fixture
def twin() -> Twin:
    twin = Twin()
    twin.job(twin.east)
    twin.settle()
    assert twin.train(twin.east, 100)
    twin.settle()
    return twin


def answer_request(twin: Twin) -> None:
    """The source's pods make the checkpoint that the migration asks for."""
    job = twin.east.one(TRAINING_JOBS, "team", "digits")
    token = job["spec"]["checkpoint"]["request"]
    twin.east.patch_status(TRAINING_JOBS, "team", "digits", checkpointRequest={"token": token, "step": 100})


def test_a_copy_asks_for_a_checkpoint_and_leaves_the_source_alone(twin: Twin) -> None:
    twin.migrate(twin.east, mode="Copy", **WEST)
    twin.settle()
    assert twin.migration(twin.east)["status"]["phase"] == "Checkpoint"
    assert twin.east.names(CHECKPOINT_TRANSFERS) == []
    answer_request(twin)
    twin.settle()
    assert twin.train(twin.east, 10)
    assert twin.train(twin.west, 5)
    twin.settle()
    migration = twin.migration(twin.east)
    assert is_true(migration, "Complete")
    assert [stage["name"] for stage in migration["status"]["pipeline"]] == [
        "Preflight",
        "Checkpoint",
        "Transfer",
        "Verify",
        "Resume",
    ]
    assert not any(entry["type"] == "AwaitingTarget" for entry in migration["status"]["conditions"])
    assert twin.logs.told == []


def test_a_copy_that_is_not_to_be_resumed_rests_at_the_target(twin: Twin) -> None:
    twin.migrate(twin.east, mode="Copy", resume=None, **WEST)
    twin.settle()
    answer_request(twin)
    twin.settle()
    assert is_true(twin.migration(twin.east), "Complete")
    assert twin.west.names(TRAINING_JOBS) == []
    assert [run.store for run in twin.logs.runs] == ["east/runs", "west/runs"]


def test_a_checkpoint_is_carried_alone_and_its_job_goes_on_from_there(twin: Twin) -> None:
    run = twin.logs.runs[0]
    twin.east.create(
        {
            "apiVersion": CHECKPOINTS.api_version,
            "kind": "Checkpoint",
            "metadata": {"name": "digits-100-abcde", "namespace": "team"},
            "spec": {
                "storeRef": {"name": "runs"},
                "run": {"name": "digits", "runId": run.run_id, "prefix": f"team/digits-{run.run_id}"},
                "step": 100,
                "epoch": 0,
                "manifest": run.manifest,
                "key": "data/100-1-abcde",
                "bytes": 10,
                "time": "2026-01-01T00:00:00Z",
                "jobName": "digits",
            },
        }
    )
    source = {"checkpoint": "digits-100-abcde"}
    twin.migrate(twin.east, mode="Copy", source=source, target={"cluster": "west", "name": "tuned"})
    twin.settle()
    sender = twin.east.one(CHECKPOINT_TRANSFERS, "team", "go-send")["spec"]
    assert sender["what"] == "Checkpoint"
    assert sender["source"]["checkpoint"] == "100"
    assert twin.west.one(TRAINING_JOBS, "team", "tuned")["spec"]["suspend"] is False
    assert twin.train(twin.west, 1, "tuned")
    twin.settle()
    assert is_true(twin.migration(twin.east), "Complete")


def test_a_model_is_carried_and_served(twin: Twin) -> None:
    source = {"export": {"storeRef": {"name": "runs"}, "run": "digits", "version": 3}}
    twin.migrate(twin.east, mode="Copy", source=source, resume=None, serve={"replicas": 2, "name": "front"}, **WEST)
    twin.settle()
    server = twin.west.one(MODEL_SERVERS, "team", "front")
    assert server["spec"]["model"] == {"storeRef": {"name": "runs"}, "run": "digits", "namespace": "team", "version": 3}
    assert server["spec"]["replicas"] == 2
    assert twin.migration(twin.east)["status"]["phase"] == "Serve"
    ready = with_conditions((), [condition("Ready", True, "Serving")], 1, twin.clock.now())
    twin.west.patch_status(MODEL_SERVERS, "team", "front", conditions=ready, url="http://front.team.svc:8080")
    twin.settle()
    migration = twin.migration(twin.east)
    assert is_true(migration, "Complete")
    assert migration["status"]["url"] == "http://front.team.svc:8080"


def test_a_run_whose_cluster_is_dead_is_taken_over_by_an_order(twin: Twin) -> None:
    """The store lives: both ends are made here, and the fence shuts out whatever still trains there."""
    twin.store(twin.west, "team", "old")
    dead = twin.logs.runs[0]
    dead.store = "west/old"
    twin.job(twin.west, suspend=True)
    # The namespace had another name there.
    source = {"run": {"storeRef": {"name": "old"}, "name": f"lost-team/digits-{dead.run_id}"}}
    order = {"reason": "the cluster burnt down", "person": "ada"}
    twin.migrate(twin.west, source=source, target={"storeRef": {"name": "runs"}}, takeover=order)
    twin.advance(15)
    sender = twin.west.one(CHECKPOINT_TRANSFERS, "team", "go-send")["spec"]["source"]
    assert (sender["namespace"], sender["run"]) == ("lost-team", f"digits-{dead.run_id}")
    asked = twin.west.one(CHECKPOINT_TRANSFERS, "team", "go-send")["spec"]["fence"]
    assert asked["takeover"] == order
    assert twin.logs.told == ["fence of digits: holds"]
    assert not twin.train(twin.east, 1)
    assert twin.train(twin.west, 1)
    twin.settle()
    assert is_true(twin.migration(twin.west), "Complete")


def test_a_run_whose_heir_is_lost_is_taken_over_by_an_order_that_names_the_fence(twin: Twin) -> None:
    twin.store(twin.east, "team", "new")
    twin.logs.runs[0].fenced_by = "lost"
    fence = f"blake3:{5:064x}"
    twin.job(twin.east, "rescued", suspend=True, checkpoint={"store": {"name": "new"}})
    source = {"run": {"storeRef": {"name": "runs"}, "name": f"digits-{twin.logs.runs[0].run_id}"}}
    target = {"name": "rescued", "storeRef": {"name": "new"}}
    order = {"reason": "the cluster burnt down", "person": "ada"}
    twin.migrate(twin.east, "vague", source=source, target=target, takeover=order)
    twin.advance(15)
    assert reason_of(twin.migration(twin.east, "vague"), "Failed") == "OwnedElsewhere"
    twin.migrate(twin.east, source=source, target=target, takeover={**order, "fence": fence})
    twin.advance(15)
    asked = twin.east.one(CHECKPOINT_TRANSFERS, "team", "go-send")["spec"]["fence"]
    assert asked["takeover"] == {**order, "fence": fence}
    assert twin.logs.told == ["fence of digits: Fenced", "fence of digits: holds"]
    assert twin.train(twin.east, 1, "rescued")
    twin.settle()
    assert is_true(twin.migration(twin.east), "Complete")


@pytest.mark.parametrize("mode", ["Copy", "Cold"])
def test_a_target_of_that_name_that_trains_is_in_the_way(twin: Twin, mode: str) -> None:
    twin.job(twin.west)
    twin.settle()
    twin.migrate(twin.east, mode=mode, **WEST)
    twin.settle()
    assert reason_of(twin.migration(twin.east), "Feasible") == "NameTaken"


def test_a_copy_within_a_shared_store_needs_another_name(twin: Twin) -> None:
    for harness in (twin.east, twin.west):
        harness.patch_status(*_store_of(harness), storeId="shared")
    twin.migrate(twin.east, mode="Copy", **WEST)
    twin.settle()
    assert reason_of(twin.migration(twin.east), "Feasible") == "SharedName"


def test_two_migrations_of_one_run_end_with_one_heir(twin: Twin) -> None:
    twin.logs.movers_pause = True
    twin.migrate(twin.east, "one", **WEST)
    twin.settle()
    twin.migrate(twin.east, "two", target={"cluster": "west", "name": "other"})
    twin.settle()
    twin.logs.movers_pause = False
    twin.advance(60)
    reasons = {name: reason_of(twin.migration(twin.east, name), "Failed") for name in ("one", "two")}
    assert sorted(reasons.values()) == ["NotFailed", "OwnedElsewhere"]
    assert twin.logs.told.count("fence of digits: holds") == 1
    assert len([run for run in twin.logs.runs if not run.fenced_by]) == 1


def _store_of(harness: Any) -> tuple[Any, str, str]:
    from sojourn_operator.resources import CHECKPOINT_STORES

    return CHECKPOINT_STORES, "team", "runs"


def test_a_deleted_copy_leaves_what_has_arrived(twin: Twin) -> None:
    twin.migrate(twin.east, mode="Copy", **WEST)
    twin.settle()
    answer_request(twin)
    twin.settle()
    assert twin.migration(twin.east)["status"]["phase"] == "Resume"
    twin.east.delete(MIGRATIONS, "team", "go")
    twin.advance(15)
    assert twin.east.get(MIGRATIONS, "team", "go") is None
    assert twin.west.names(TRAINING_JOBS) == ["digits"]
