"""The line protocol between a training process and whoever watches it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import events
from sojourn.events import decode, encode

ONE_OF_EACH = [
    events.Launch(time=1.0, phase="ray", seconds=14.25),
    events.Dashboard(time=1.0, url="http://127.0.0.1:8265"),
    events.Started(
        time=2.0,
        run="digits",
        run_id="0b5e",
        attempt="a1",
        term=3,
        restored_step=None,
        workers=2,
        strategy="MultiWorkerMirroredStrategy",
        steps_per_epoch=25,
        total_steps=125,
        epochs=5,
    ),
    events.Progress(time=3.5, step=7, epoch=0, total_steps=125, loss=2.1, metrics={"accuracy": 0.3}),
    events.EpochEnd(time=4.0, epoch=0, step=25, metrics={"loss": 1.5, "val_loss": 1.4}),
    events.Committed(time=5.0, step=25, bytes=1234, seconds=0.25, stall_seconds=0.01, checkpoint="data/25-3-ab"),
    events.SaveFailed(time=6.0, step=50, error="disk full", will_retry=True),
    events.SaveSkipped(time=6.0, step=51, reason="the save of step 50 is still being written"),
    events.SaveInterval(time=6.5, seconds=42.5, reason="Overhead", message="why", cost_seconds=1.4),
    events.AttemptFailed(time=7.0, attempt="a1", error="worker 1 was killed", failures=1, backoff_limit=6),
    events.RolledBack(time=8.0, from_step=60, to_step=50, reason="loss is NaN"),
    events.Exported(time=9.0, version=1, formats=("SavedModel", "Keras"), seconds=0.5),
    events.Completed(time=10.0, step=125, epoch=5, metrics={"loss": 0.1}, seconds=60.0),
    events.Suspended(time=10.0, step=75, reason="SIGTERM"),
    events.Failed(time=10.0, message="no GPU", hint="Set gpu to 0.", exit_code=2),
    events.Message(time=10.0, level="warning", text="übergroß"),
    events.Stopping(time=9.5, reason="SIGTERM"),
    events.Workers(time=1.5, ready=1, wanted=2),
    events.StandingBy(time=1.5),
    events.Retired(time=5.0, checkpoints=("data/5-3-ab",)),
]


def test_every_kind_is_tried_here():
    assert {event.event for event in ONE_OF_EACH} == set(events.kinds())


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.event)
def test_a_line_gives_back_the_event(event):
    line = encode(event)
    assert "\n" not in line
    assert decode(line) == event


def test_names_in_json_are_camel_case_and_the_kind_comes_first():
    data = json.loads(encode(ONE_OF_EACH[2]))
    assert next(iter(data)) == "event"
    assert data["event"] == "Started"
    assert data["stepsPerEpoch"] == 25
    assert data["restoredStep"] is None


def test_fields_of_newer_versions_are_skipped():
    data = json.loads(encode(ONE_OF_EACH[0])) | {"fromTheFuture": {"a": 1}}
    assert decode(json.dumps(data)) == ONE_OF_EACH[0]


def test_missing_optional_fields_take_their_defaults():
    line = '{"event":"Progress","time":1,"step":1,"epoch":0,"totalSteps":9,"loss":0.5}'
    assert decode(line) == events.Progress(time=1.0, step=1, epoch=0, total_steps=9, loss=0.5)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "WARNING: not JSON",
        "[1, 2]",
        "17",
        '{"event":"Teleported","time":1}',
        '{"time":1}',
        '{"event":"Launch","time":1,"phase":"ray"}',
        '{"event":"Launch","time":1,"phase":7,"seconds":1}',
        '{"event":"SaveSkipped","time":1,"step":true,"reason":"x"}',
        '{"event":"Progress","time":1,"step":1,"epoch":0,"totalSteps":9,"loss":0.5,"metrics":[]}',
        '{"event":"Exported","time":1,"version":1,"formats":3,"seconds":1}',
    ],
)
def test_what_is_no_event_is_none(line):
    assert decode(line) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_are_valid_json(value):
    line = encode(events.Progress(time=1.0, step=1, epoch=0, total_steps=9, loss=value, metrics={"m": value}))
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    event = decode(line)
    assert isinstance(event, events.Progress)
    assert repr(event.loss) == repr(event.metrics["m"]) == repr(value)


@given(st.text(), st.dictionaries(st.text(), st.floats(allow_nan=False)), st.integers(0, 1 << 60))
def test_any_text_and_number_survives(text, metrics, step):
    for event in (
        events.Message(time=0.0, level="info", text=text),
        events.EpochEnd(time=0.0, epoch=step, step=step, metrics=metrics),
    ):
        assert decode(encode(event)) == event
