"""Events become the status of a TrainingAttempt, which the API server must take."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from helpers.object_server import merge
from sojourn import events
from sojourn.api.attempt_status import TrainingAttemptStatus
from sojourn_trainer.node.pod.report import AT_ONCE, SOON, AttemptReport, merge_patch

DIGEST = "blake3:" + 64 * "0"
STARTED = events.Started(
    time=1_700_000_000,
    run="digits",
    run_id="5f1d",
    attempt="a",
    term=3,
    restored_step=40,
    workers=2,
    strategy="Default",
    steps_per_epoch=20,
    total_steps=100,
    epochs=5,
    log_head=DIGEST,
)


def committed(step: int, *requests: str) -> events.Committed:
    return events.Committed(
        time=1_700_000_000 + step,
        step=step,
        bytes=10,
        seconds=1,
        stall_seconds=0,
        checkpoint=f"data/{step}-3-x",
        manifest=DIGEST,
        metrics={"loss": 0.5, "bad": float("nan")},
        log_head=DIGEST,
        requests=requests,
    )


def valid(report: AttemptReport) -> dict[str, Any]:
    """The fields, after the API server's own models have taken them."""
    TrainingAttemptStatus.model_validate(json.loads(json.dumps(report.fields, allow_nan=False)))
    return report.fields


def test_a_whole_attempt() -> None:
    report = AttemptReport({}, prior_failures=2)
    assert (report.fields["phase"], report.all_failures) == ("Starting", 2)
    assert report.apply(events.Launch(time=1, phase="start Ray", seconds=7.12345)) is None
    report.apply(events.Launch(time=1, phase="start Ray", seconds=8))
    assert report.apply(events.Workers(time=1, ready=1, wanted=2)) == AT_ONCE
    report.change(head={"pod": "p", "uid": "u"})
    report.apply(events.Dashboard(time=1, url="http://10.0.0.1:8265"))
    assert report.apply(STARTED) == AT_ONCE
    fields = valid(report)
    assert fields["launch"] == [{"phase": "start Ray", "seconds": 8}]
    assert fields["head"] == {"pod": "p", "uid": "u", "dashboardURL": "http://10.0.0.1:8265"}
    assert (fields["phase"], fields["step"], fields["epoch"], fields["totalSteps"]) == ("Running", 40, 2, 100)
    assert fields["run"] == {"runId": "5f1d", "name": "digits", "term": 3, "logHead": DIGEST}
    progress = events.Progress(
        time=2, step=45, epoch=2, total_steps=100, loss=float("nan"), metrics={"acc": 0.5}, samples_per_second=10
    )
    assert report.apply(progress) is None
    assert valid(report)["metrics"] == {"acc": 0.5}
    assert fields["samplesPerSecond"] == 10
    assert report.apply(committed(50)) == SOON
    assert report.all_failures == 0
    assert valid(report)["lastCommit"]["metrics"] == {"loss": 0.5}
    report.apply(events.Exported(time=3, version=1, formats=("Keras",), seconds=1, step=50, manifest=DIGEST))
    report.end("Succeeded", 0, "Completed", 1_700_000_100)
    fields = valid(report)
    assert fields["outcome"] == {"exitCode": 0, "reason": "Completed"}
    assert "samplesPerSecond" not in fields


def test_failures_of_earlier_attempts_count_until_the_first_commit() -> None:
    report = AttemptReport({}, prior_failures=2)
    lost = events.AttemptFailed(time=1, attempt="a", error="x", failures=3, backoff_limit=6)
    assert report.apply(lost) == AT_ONCE
    assert (report.fields["failures"], report.all_failures) == (1, 3)
    assert report.fields["phase"] == "Starting"
    # The next pod of the same attempt goes on from the status.
    assert AttemptReport(report.fields, prior_failures=2).all_failures == 3
    report.apply(committed(50))
    report.apply(events.AttemptFailed(time=1, attempt="a", error="x", failures=1, backoff_limit=6))
    assert (report.fields["failures"], report.all_failures) == (1, 1)
    assert AttemptReport(report.fields, prior_failures=2).all_failures == 1


def test_requests_are_answered_by_the_commit_that_names_them() -> None:
    report = AttemptReport({}, 0)
    assert report.apply(committed(50, "leaving digits-1-1", "checkpoint nightly")) == AT_ONCE
    assert report.fields["checkpointRequest"] == {"token": "nightly", "step": 50}
    assert report.apply(events.Stopping(time=1, reason="Suspend")) == AT_ONCE
    report.apply(STARTED)
    assert report.fields["phase"] == "Stopping"
    report.answer_stop("s1")
    assert report.fields["stopped"] == {"token": "s1", "step": 50}


def test_lists_keep_the_newest_and_texts_fit() -> None:
    report = AttemptReport({}, 0)
    for step in range(1, 51):
        report.apply(committed(step))
        report.apply(events.Retired(time=1, checkpoints=(f"data/{step}-3-x",)))
    assert [commit["step"] for commit in report.fields["commits"]] == list(range(31, 51))
    assert report.fields["retired"][-1] == "data/50-3-x"
    report.apply(events.EpochEnd(time=1, epoch=0, step=5, metrics={f"m{i}": float(i) for i in range(300)}))
    report.apply(events.Failed(time=1, message="x" * 10_000, hint="y" * 10_000, reason="StoreError"))
    report.end("Failed", 1, "StoreFailed", 1)
    valid(report)


def test_a_pod_that_takes_over_keeps_what_was_committed_and_drops_how_it_ended() -> None:
    report = AttemptReport({}, 0)
    report.apply(STARTED)
    report.apply(committed(50))
    report.end("Suspended", 143, "Evicted", 1)
    again = AttemptReport(report.fields, 0)
    assert again.fields["lastCommit"]["step"] == 50
    assert "outcome" not in again.fields
    assert merge_patch(report.fields, again.fields) == {
        **dict.fromkeys(("outcome", "completionTime")),
        "phase": "Starting",
    }


json_values = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)
documents = st.dictionaries(st.text(max_size=2), json_values, max_size=4)


@given(documents, documents)
def test_a_patch_makes_the_old_document_into_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = merge_patch(old, new)
    assert merge(old, patch) == new
    assert (patch == {}) == (old == new)


def test_how_often_is_saved_and_why() -> None:
    report = AttemptReport({}, prior_failures=0)
    event = events.SaveInterval(
        time=1, seconds=42.12345, reason="Overhead", message="why", cost_seconds=1.4, write_seconds=3.0
    )
    assert report.apply(event) == SOON
    assert valid(report)["saveInterval"] == {
        "seconds": 42.123,
        "reason": "Overhead",
        "message": "why",
        "costSeconds": 1.4,
        "writeSeconds": 3.0,
    }
