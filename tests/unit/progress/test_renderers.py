"""What people and programs see of a run."""

import io
from datetime import UTC

import pytest
from rich.console import Console

from sojourn import events
from sojourn.errors import InvalidInput
from sojourn.events import decode
from sojourn.progress import RunView, advance, open_renderer
from sojourn.progress.live import LiveRenderer, spark
from sojourn.progress.plain import PlainRenderer


def plain(told):
    stream = io.StringIO()
    with PlainRenderer(stream, zone=UTC) as renderer:
        for event in told:
            renderer.show(event)
    return stream.getvalue()


def test_plain_lines_match_the_golden_text(story, golden):
    golden("progress/plain.txt", plain(story))


def test_plain_progress_comes_at_most_every_five_seconds(story):
    lines = [line for line in plain(story).splitlines() if "samples/s" in line]
    assert len(lines) == 9  # 25 progress events, 2 s apart, with 9 s of restart
    assert all(line[10:].startswith("step ") for line in lines)


def test_a_message_of_many_lines_stays_indented():
    text = plain([events.Failed(time=0.0, message="first\nsecond", hint="do this")])
    assert text == "00:00:00  ERROR: failed: first\n          second\n          do this\n"


def test_json_lines_are_the_events_themselves(story):
    stream = io.StringIO()
    with open_renderer("json", stream) as renderer:
        for event in story:
            renderer.show(event)
    assert [decode(line) for line in stream.getvalue().splitlines()] == story


def live(told, now=None):
    """The log, and the panel after the last event."""
    stream = io.StringIO()
    clock = [0.0]
    console = Console(file=stream, width=100, highlight=False)
    with LiveRenderer(console, clock=lambda: clock[0], zone=UTC, refresh=False) as renderer:
        for event in told:
            clock[0] = event.time if now is None else now
            renderer.show(event)
        picture = Console(width=100, highlight=False, file=io.StringIO())
        picture.print(renderer.panel())
    return stream.getvalue(), picture.file.getvalue()


def test_the_live_view_matches_the_golden_text(story, golden):
    log, panel = live(story[:30])
    golden("progress/live.txt", "\n".join(line.rstrip() for line in (log.split("╭")[0] + panel).splitlines()) + "\n")


def test_the_live_view_lets_time_pass_between_events(story):
    until = story[:12]
    _, before = live(until)
    _, after = live(until, now=until[-1].time + 4)
    assert before != after


def test_the_end_is_in_the_panel(story):
    log, panel = live(story)
    assert "completed" in panel
    assert "125/125" in panel
    assert "samples/s" not in panel
    assert "completed 125 steps in 81.0 s" in log


def test_commits_in_quick_succession_share_a_line(story):
    commits = [
        events.Committed(time=100 + i / 10, step=i, bytes=1, seconds=0.1, stall_seconds=0, checkpoint="c")
        for i in range(50)
    ]
    log, _ = live([story[3], *commits])
    lines = [line for line in log.splitlines() if "committed step" in line]
    assert len(lines) == 2
    assert "(and 48 commits before it)" in lines[1]


def test_a_run_that_fails_before_it_starts_has_no_panel():
    log, panel = live([events.Failed(time=0.0, message="no such module")])
    assert "failed: no such module" in log
    assert panel.strip() == ""


@pytest.mark.parametrize(("output", "kind"), [("auto", "PlainRenderer"), ("rich", "LiveRenderer")])
def test_auto_is_plain_where_there_is_no_terminal(output, kind):
    assert type(open_renderer(output, io.StringIO())).__name__ == kind


def test_an_unknown_output_is_refused_with_the_choices():
    with pytest.raises(InvalidInput, match=r"auto, rich, plain, json"):
        open_renderer("html", io.StringIO())


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([], ""),
        ([1.0, 1.0], "▁▁"),
        ([0.0, 1.0], "▁█"),
        ([3, 2, 1, 0], "█▆▃▁"),
        ([1.0, float("nan"), 0.0], "█ ▁"),
        ([float("nan")], ""),
    ],
)
def test_spark(values, curve):
    assert spark(values, 4) == curve


def test_spark_means_equal_parts():
    assert spark([float(i) for i in range(100)], 8) == "▁▂▃▄▅▆▇█"


def test_the_view_of_a_watcher_who_came_late_knows_the_last_commit():
    view = advance(
        RunView(), events.Progress(time=100.0, step=5, epoch=0, total_steps=9, loss=1.0, seconds_since_commit=30.0)
    )
    assert view.committed_at == 70.0


def test_the_view_follows_attempts(story):
    view = RunView()
    states = []
    for event in story:
        view = advance(view, event)
        if not states or states[-1] != view.state:
            states.append(view.state)
    assert states == ["launching", "training", "restarting", "training", "completed"]
    assert (view.attempts, view.step, view.total_steps) == (2, 125, 125)
