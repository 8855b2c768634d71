"""How an attempt stands, for every state of its pods, its Job and its own report: a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpers.attempts import attempt
from sojourn_operator.engines.job import INDEX_LABEL, JobEngine
from sojourn_operator.engines.podview import PodView, view_pod
from sojourn_operator.runtime.actions import PatchStatus
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.trainingattempt.observe import Observed
from sojourn_operator.trainingattempt.status import verdict_status
from sojourn_operator.trainingattempt.verdict import Verdict, judge

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STARTED = {"startTime": rfc3339(NOW - timedelta(seconds=60))}
COMPLETE = {**STARTED, "conditions": [{"type": "Complete", "status": "True"}]}
FAILED = {**STARTED, "conditions": [{"type": "Failed", "status": "True", "message": "a deadline has passed"}]}
BOUND = {"phase": "Running", "head": {"pod": "digits-1-0", "uid": "head"}}
STOP = {"token": "suspend-2", "reason": "Suspend"}


def ago(seconds: float) -> str:
    return rfc3339(NOW - timedelta(seconds=seconds))


def condition(kind: str, status: str, seconds: float) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": "Any", "message": "", "lastTransitionTime": ago(seconds)}


def pod(index: int = 0, phase: str = "Running", **fields: Any) -> PodView:
    plain = view_pod(
        {
            "metadata": {"name": f"digits-1-{index}", "uid": "head" if index == 0 else "worker"},
            "status": {"phase": phase},
        }
    )
    return replace(plain, labels={INDEX_LABEL: str(index)}, **fields)


def seen(
    status: dict[str, Any] | None = None,
    *pods: PodView,
    job: dict[str, Any] | None = STARTED,
    suspended: bool = False,
    stop: dict[str, Any] | None = None,
    foreign: bool = False,
    installed: bool = True,
    standby: bool | None = None,
) -> Observed:
    made = attempt(**({"stop": stop} if stop else {}), **({"standby": standby} if standby is not None else {}))
    engine = JobEngine()
    workload = {**engine.workload(made), "status": job or {}}
    workload["spec"] = {**workload["spec"], "suspend": suspended}
    return Observed(
        attempt={**made, "status": status or {}},
        engine=engine,
        workload=workload if job is not None else None,
        foreign=foreign,
        pods=pods,
        services=frozenset(),
        now=NOW,
        installed=installed,
    )


def short(verdict: Verdict) -> str:
    if verdict.ending is not None:
        return verdict.ending.reason + ("" if verdict.ending.sure else "?")
    return ("make " if verdict.make else "") + verdict.ready[1] + (f" -> {verdict.phase}" if verdict.phase else "")


def stood_by(status: str, seconds: float) -> dict[str, Any]:
    """Of an attempt that was ready long ago, and stands by, or does not any more, since so many seconds."""
    conditions = [condition("Ready", "False", 9999), condition("StandingBy", status, seconds)]
    return {**BOUND, "phase": "Standby", "conditions": conditions}


LONG_AGO = {"startTime": ago(9999)}
GONE = {"phase": "Failed", "exit_code": 137}
CASES: list[tuple[str, Observed, str]] = [
    ("nothing is there yet", seen(job=None), "make Created"),
    ("its Job was deleted while it trained", seen(BOUND, job=None), "Disrupted?"),
    ("deleted while it was evicted", seen({**BOUND, "phase": "Suspended"}, job=None), "make Created"),
    ("pods of a deleted Job still end", seen(None, pod(), job=None), "PodsStarting"),
    ("another's Job has the name", seen(job=None, foreign=True), "NameTaken"),
    ("the cluster lacks the kind", seen(job=None, installed=False), "EngineNotInstalled"),
    ("asked to stop before it was made", seen(job=None, stop=STOP), "Suspended?"),
    ("the pods start", seen(None, pod(), pod(1)), "PodsStarting -> Pending"),
    ("Ray starts", seen({**BOUND, "phase": "Starting"}, pod(), pod(1)), "Starting"),
    ("it trains", seen(BOUND, pod(), pod(1)), "Training"),
    ("its head reports", seen({**BOUND, "heartbeatTime": ago(119)}, pod()), "Training"),
    ("its head is silent", seen({**BOUND, "heartbeatTime": ago(121)}, pod()), "HeadSilent"),
    ("a worker is lost", seen(BOUND, pod(), pod(1, **GONE)), "Training"),
    ("no node fits", seen(None, pod(phase="Pending", waiting=("Unschedulable", "no cpu"))), "Unschedulable -> Pending"),
    (
        "no such image",
        seen({"phase": "Pending"}, pod(phase="Pending", waiting=("ErrImagePull", "not found"))),
        "ImagePullFailed",
    ),
    (
        "no such secret",
        seen({"phase": "Pending"}, pod(phase="Pending", waiting=("CreateContainerConfigError", "no secret"))),
        "PodBlocked",
    ),
    ("the head was killed", seen(BOUND, pod(**GONE), pod(1)), "Lost?"),
    ("the head is gone", seen(BOUND, pod(1)), "Disrupted?"),
    ("the head's node was drained", seen(BOUND, pod(disrupted=True, **GONE)), "Disrupted?"),
    ("the head was deleted", seen(BOUND, pod(deleting=True, **GONE)), "Disrupted?"),
    (
        "the head says why it failed",
        seen({**BOUND, "phase": "Failed", "outcome": {"exitCode": 2}}, pod(phase="Failed", exit_code=2)),
        "Failed?",
    ),
    ("a drained head that has committed", seen({**BOUND, "phase": "Suspended"}, pod(**GONE)), "PodsStarting"),
    (
        "one that was told to stop earlier",
        seen({"phase": "Suspended"}, pod(phase="Failed", exit_code=143)),
        "PodsStarting",
    ),
    ("a head that crashed before it could report", seen(None, pod(**GONE)), "Lost?"),
    ("the Job is complete", seen(BOUND, job=COMPLETE), "Succeeded"),
    (
        "complete, since a stop was answered",
        seen({**BOUND, "phase": "Suspended"}, job=COMPLETE, stop=STOP),
        "Suspended",
    ),
    (
        "the head reports success and ends in a moment",
        seen({**BOUND, "phase": "Succeeded", "outcome": {"exitCode": 0}}, pod()),
        "Succeeded",
    ),
    ("somebody ended the Job", seen(BOUND, pod(1), job=FAILED), "Lost?"),
    ("it waits to be admitted", seen(None, job={}, suspended=True), "Queued"),
    ("its pods are being evicted", seen(BOUND, pod(), suspended=True), "Evicted"),
    ("it was evicted after a commit", seen({**BOUND, "phase": "Suspended"}, suspended=True), "Evicted"),
    ("it was evicted before it could commit", seen(BOUND, suspended=True), "Evicted -> Pending"),
    ("asked to stop", seen(BOUND, pod(), pod(1), stop=STOP), "Training"),
    (
        "has stopped",
        seen({**BOUND, "stopped": {"token": "suspend-2", "step": 9}}, pod(), stop=STOP),
        "Suspended",
    ),
    ("answered an older request", seen({**BOUND, "stopped": {"token": "suspend-1"}}, pod(), stop=STOP), "Training"),
    ("asked to stop while nothing trains", seen({"phase": "Pending"}, pod(), stop=STOP), "Suspended"),
    (
        "does not stop in time",
        seen({**BOUND, "conditions": [condition("Stopping", "True", 61)]}, pod(), stop=STOP),
        "StopDeadlineExceeded",
    ),
    (
        "has not started in time",
        seen(
            {"phase": "Pending", "conditions": [condition("Ready", "False", 601)]}, pod(), job={"startTime": ago(601)}
        ),
        "StartupDeadlineExceeded?",
    ),
    ("stands by, however long", seen(stood_by("True", 9999), pod(), job=LONG_AGO, standby=True), "Standby"),
    ("has just been given the run", seen(stood_by("True", 9999), pod(), job=LONG_AGO, standby=False), "Standby"),
    (
        "was given the run before anybody looked",
        seen(
            {**BOUND, "phase": "Standby", "conditions": [condition("Ready", "False", 9999)]},
            pod(),
            job=LONG_AGO,
            standby=False,
        ),
        "Standby",
    ),
    ("begins to train the run", seen(stood_by("False", 599), pod(), job=LONG_AGO, standby=False), "Standby"),
    (
        "has not begun to train the run in time",
        seen(stood_by("False", 601), pod(), job=LONG_AGO, standby=False),
        "StartupDeadlineExceeded?",
    ),
    (
        "lost a worker when it began",
        seen({**stood_by("False", 599), "phase": "Starting"}, pod(), job=LONG_AGO, standby=False),
        "Starting",
    ),
    (
        "lost a worker while it stood by",
        seen({**stood_by("True", 9999), "phase": "Starting"}, pod(), job=LONG_AGO, standby=True),
        "Starting",
    ),
    (
        "has not become ready to stand by in time",
        seen({**stood_by("False", 9999), "phase": "Starting"}, pod(), job=LONG_AGO, standby=True),
        "StartupDeadlineExceeded?",
    ),
    (
        "was admitted late",
        seen({"phase": "Pending", "conditions": [condition("Ready", "False", 9999)]}, pod(), job={"startTime": ago(9)}),
        "PodsStarting",
    ),
]


@pytest.mark.parametrize(("observed", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_how_it_stands(observed: Observed, expected: str) -> None:
    assert short(judge(observed)) == expected


def test_what_was_confirmed_is_sure() -> None:
    unsure = [case[1] for case in CASES if case[2].endswith("?")]
    assert len(unsure) > 5
    for observed in unsure:
        verdict = judge(replace(observed, confirmed=True))
        assert verdict.ending is not None
        assert verdict.ending.sure


@pytest.mark.parametrize(
    ("phase", "standby", "expected"),
    [
        ("Starting", True, ("False", "GettingReady")),
        ("Standby", True, ("True", "Standby")),
        ("Standby", False, ("False", "Begun")),
        ("Running", False, ("False", "Begun")),
    ],
)
def test_since_when_it_stands_by_or_not_is_kept(phase: str, standby: bool, expected: tuple[str, str]) -> None:
    observed = seen({**BOUND, "phase": phase}, pod(), standby=standby)
    observed.attempt["metadata"]["resourceVersion"] = "7"
    (patch,) = verdict_status(observed, judge(observed))
    assert isinstance(patch, PatchStatus)
    (kept,) = [entry for entry in patch.status["conditions"] if entry["type"] == "StandingBy"]
    assert (kept["status"], kept["reason"], kept["lastTransitionTime"]) == (*expected, rfc3339(NOW))


def test_who_stands_by_is_looked_at_again_when_its_time_is_over() -> None:
    verdict = judge(seen(stood_by("False", 590), pod(), job=LONG_AGO, standby=False))
    assert verdict.look_again == pytest.approx(10)
