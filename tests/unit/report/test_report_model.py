"""What a report makes of logs and curves."""

import json

import pytest

from sojourn.client.history import history
from sojourn.report.collect import collect, read_curves
from sojourn.report.model import Point, series, thinned
from sojourn.report.plots import needs_log_scale
from sojourn.store.memory import MemoryStore


def record(store, prefix, name, *lines):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    store.put(f"{prefix}/history/{name}.jsonl", text.encode())


def step(number, loss, time=None, **metrics):
    return {"kind": "step", "step": number, "epoch": 0, "loss": loss, "metrics": metrics, "time": time, "attempt": "a"}


@pytest.fixture
def told(two_stores):
    """The report of digits, whose first attempt trained 30 steps past its last commit and then was lost."""
    here, there = two_stores
    prefix = f"local/{next(name for name in here.list_folders('local') if name.startswith('digits'))}"
    begin = 1_769_860_860.0  # the first attempt began at 12:01
    lines = [step(n, 1 / n, begin + n, accuracy=n / 1000) for n in range(10, 340, 10)]
    record(here, prefix, "000001-000001", *lines[:20])
    record(here, prefix, "000001-000002", *lines[20:])
    return collect(history("digits", store=there, last=None))


def test_attempts_over_both_stores(told):
    rows = [(row.chapter, row.term, row.first, row.last, row.kept, row.lost, row.commits) for row in told.attempts]
    assert rows == [(0, 1, 0, 330, 300, 30, 3), (0, 2, 300, 400, 400, 0, 1), (1, 3, 400, 500, 500, 0, 1)]


def test_marks_and_pauses(told):
    assert [(mark.kind, mark.step) for mark in told.marks] == [("restart", 300), ("move", 400)]
    restart, move = told.marks
    assert told.pause(restart) == 90.0  # last step at 12:06:30, first commit of the next attempt at 12:08:00
    assert told.pause(move) == 300.0


def test_commits_know_whether_they_still_exist(told):
    assert [(row.commit.step, row.exists) for row in told.commits] == [
        (100, False), (200, True), (300, True), (400, True), (500, True),
    ]  # fmt: skip
    assert told.last_step == 500
    assert [export.version for _, export in told.exports] == [1]


def test_series_come_from_curves_and_else_from_commits(told):
    assert told.metrics == ("loss", "accuracy", "val_accuracy")
    loss = series(told, "loss")
    assert [len(points) for _, points in loss] == [33, 1, 1]
    assert next(points for _, points in series(told, "val_accuracy")) == ((100, 0.55), (200, 0.6), (300, 0.65))


def test_an_ancestor_out_of_reach_leaves_the_rest(two_stores):
    here, there = two_stores
    here.root.rename(here.root.with_name("elsewhere"))
    told = collect(history("digits", store=there, last=None))
    assert [row.term for row in told.attempts] == [3]
    assert "there is no store" in told.sources[0].problem
    assert told.name == "digits"


def test_curves_tolerate_what_a_killed_writer_leaves():
    store = MemoryStore()
    record(
        store, "r", "2", step(1, 2.0), "", "[]", "17", '{"step": "x"}', '{"step": 2, "loss": null}', '{"step": 3, "lo'
    )
    record(store, "r", "notes", step(9, 9.0))
    store.put("r/history/readme.txt", b"")
    assert read_curves(store, "r") == {2: (Point(1, {"loss": 2.0}),)}
    assert read_curves(store, "nothing") == {}


def test_running_values_and_means_over_epochs_do_not_mix():
    """Whichever there are more of is drawn: a short run is all means, a long epoch all running values."""
    store = MemoryStore()
    epochs = [{"kind": "epoch", "step": n, "loss": n / 10, "metrics": {"val_loss": 1.7}} for n in (2, 4, 6)]
    record(store, "few", "1-1", step(1, 2.0), epochs[0])
    record(store, "few", "1-2", *epochs[1:])
    record(store, "many", "1", step(1, 2.0), step(2, 1.0), step(3, 1.0), step(4, 1.0), *epochs)

    def drawn(prefix, name):
        return [point.step for point in read_curves(store, prefix)[1] if name in point.values]

    assert drawn("few", "loss") == drawn("few", "val_loss") == drawn("many", "val_loss") == [2, 4, 6]
    assert drawn("many", "loss") == [1, 2, 3, 4]


def test_thinned_keeps_the_shape_and_the_last_step():
    points = [(n, float(n)) for n in range(10_000)]
    thin = thinned(points, 100)
    assert len(thin) == 100
    assert thin[-1] == (9999, 9949.5)
    assert thinned(points[:5], 100) == points[:5]


@pytest.mark.parametrize(
    ("name", "values", "log"),
    [
        ("loss", [2.0, 0.01], True),
        ("loss", [2.0, 0.1], False),
        ("loss", [2.0, 0.0], False),
        ("accuracy", [0.001, 1.0], False),
        ("loss", [float("nan"), 1.0, 0.001], True),
        ("loss", [], False),
    ],
)
def test_log_scale(name, values, log):
    assert needs_log_scale(name, values) == log
