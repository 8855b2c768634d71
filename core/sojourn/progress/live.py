"""A live view for terminals: a panel that stays below, and above it a log of what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, tzinfo
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from sojourn import events
from sojourn.progress import words
from sojourn.progress.keys import silent_keys
from sojourn.progress.sentences import Tone, sentence
from sojourn.progress.view import RunView, advance

FREQUENT_SECONDS = 10.0
SPARK_WIDTH = 16
_SPARKS = "▁▂▃▄▅▆▇█"
_MARKS: dict[Tone, tuple[str, str]] = {
    "info": ("•", "cyan"),
    "good": ("✓", "green"),
    "warning": ("!", "yellow"),
    "error": ("✗", "bold red"),
    "muted": ("·", "dim"),
}
_BORDERS = {"training": "cyan", "completed": "green", "suspended": "yellow", "failed": "red", "restarting": "yellow"}


class LiveRenderer:
    """Draws on `console`. `clock` gives Unix seconds and only moves ages and the time left between two events;
    times of day are in `zone`, by default this machine's.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
        refresh: bool = True,
    ) -> None:
        self._console = console
        self._clock = clock
        self._zone = zone
        self._view = RunView()
        self._commits = _Frequent("commit")
        self._epochs = _Frequent("epoch")
        self._keys: AbstractContextManager[None] = nullcontext()
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            get_renderable=self.panel, console=console, auto_refresh=refresh, refresh_per_second=8, redirect_stderr=True
        )

    @classmethod
    def on_stream(cls, stream: TextIO) -> LiveRenderer:
        """A renderer that takes the terminal's width and colours from the stream."""
        return cls(Console(file=stream, highlight=False))

    def __enter__(self) -> LiveRenderer:
        self._keys = silent_keys()
        self._keys.__enter__()
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._release()
        self._live.stop()
        self._keys.__exit__(None, None, None)

    def show(self, event: events.Event) -> None:
        """Take in one event: a line in the log above the panel, or a change in the panel."""
        self._view = advance(self._view, event)
        match event:
            case events.Progress() | events.Launch() | events.Workers() | events.Retired():
                return
            case events.Committed():
                self._log_frequent(self._commits, event)
                return
            case events.EpochEnd():
                self._log_frequent(self._epochs, event)
                return
            case events.Started() if self._view.attempts == 1 and self._view.launched:
                self._log(event.time, "muted", "launch: " + _launch_parts(self._view.launched))
        self._release()
        self._log(event.time, *sentence(event))

    def panel(self) -> RenderableType:
        """The panel as it stands now."""
        view = self._view
        if view.started is None:
            return self._launching(view)
        started = view.started
        body: list[RenderableType] = [self._bar(view), self._learning(view, started), self._pace(view)]
        title = (
            f"[bold]{escape(started.run)}[/] · {escape(started.strategy)} · {words.plural(started.workers, 'worker')}"
        )
        return Panel(
            Group(*body),
            title=title,
            title_align="left",
            subtitle=self._state(view),
            subtitle_align="right",
            border_style=_BORDERS.get(view.state, "cyan"),
            padding=(0, 1),
        )

    def _launching(self, view: RunView) -> RenderableType:
        if view.end is not None:
            return Text()
        parts = _launch_parts(view.launched)
        self._spinner.update(text=Text(f"starting · {parts}" if parts else "starting", style="dim"))
        return Padding(self._spinner, (0, 0, 0, 2))

    def _state(self, view: RunView) -> str:
        attempt = f"attempt {view.attempts}" if view.attempts > 1 else ""
        state = "" if view.state == "training" else view.state
        return " · ".join(part for part in (attempt, state) if part)

    def _bar(self, view: RunView) -> RenderableType:
        total = max(view.total_steps, 1)
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        colour = _BORDERS.get(view.state, "cyan")
        bar = ProgressBar(total=total, completed=view.step, complete_style=colour, finished_style=colour)
        share = f"{100 * view.step / total:.0f}%"
        figures = Text.assemble(
            ("step ", "dim"),
            (words.count(view.step), "bold"),
            (f"/{words.count(view.total_steps)}", "dim"),
            f"  {share:>4}",
        )
        grid.add_row(bar, figures)
        return grid

    def _learning(self, view: RunView, started: events.Started) -> RenderableType:
        progress = view.progress
        if progress is None:
            said = view.end.metrics if isinstance(view.end, events.Completed) else {}
            return _figures([(name, words.metric(value), "") for name, value in said.items()])
        items = [
            ("epoch", str(min(progress.epoch + 1, started.epochs)), f"/{started.epochs}"),
            ("loss", words.metric(progress.loss), " " + spark(view.losses) if len(view.losses) > 1 else ""),
            *((name, words.metric(value), "") for name, value in progress.metrics.items()),
        ]
        return _figures(items)

    def _pace(self, view: RunView) -> RenderableType:
        progress, now = view.progress, self._clock()
        items: list[tuple[str, str, str]] = []
        if progress is not None and view.end is None:
            items.append(("", words.rate(progress.samples_per_second), " samples/s"))
            if progress.eta_seconds is not None:
                items.append(("", words.whole_seconds(progress.eta_seconds - (now - progress.time)), " left"))
        if view.committed_at is not None:
            step = f" (step {words.count(view.committed.step)})" if view.committed else ""
            items.append(("last commit", words.whole_seconds(now - view.committed_at), f" ago{step}"))
        elif view.end is None:
            items.append(("", "no commit yet", ""))
        return _figures(items)

    def _log_frequent(self, lines: _Frequent, event: events.Event) -> None:
        said = lines.add(event)
        if said is not None:
            self._log(*said)

    def _release(self) -> None:
        """Write what was held back, so that the log is complete and in order."""
        held = [said for said in (self._epochs.release(), self._commits.release()) if said is not None]
        for said in sorted(held, key=lambda said: said[0]):
            self._log(*said)

    def _log(self, time: float, tone: Tone, text: str) -> None:
        mark, style = _MARKS[tone]
        clock = datetime.fromtimestamp(time, UTC).astimezone(self._zone)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=10, justify="right", style="dim")
        grid.add_column(width=1)
        grid.add_column(overflow="fold")
        grid.add_row(
            f"{clock:%H:%M:%S}",
            Text(mark, style=style),
            Text(text, style=style if tone in ("error", "warning", "muted") else ""),
        )
        self._console.print(grid)


class _Frequent:
    """Lines about one kind of event that may come many times a second: one in a while, with a count of the others."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._last = float("-inf")
        self._held: events.Event | None = None
        self._count = 0

    def add(self, event: events.Event) -> tuple[float, Tone, str] | None:
        """The line to write now, if one is due."""
        self._held = event
        self._count += 1
        return self.release() if event.time - self._last >= FREQUENT_SECONDS else None

    def release(self) -> tuple[float, Tone, str] | None:
        """The line that was held back, if there is one."""
        event, count = self._held, self._count
        if event is None:
            return None
        self._held, self._count, self._last = None, 0, event.time
        tone, text = sentence(event)
        more = f" (and {words.plural(count - 1, self._noun)} before it)" if count > 1 else ""
        return event.time, tone, text + more


def spark(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """A curve of one line of text: the means of `width` equal parts of the values, NaN and infinities as blanks."""
    size = max(1, len(values) / width)
    parts = [values[round(i * size) : round((i + 1) * size)] for i in range(min(width, len(values)))]
    means = [sum(part) / len(part) for part in parts if part]
    finite = [mean for mean in means if math.isfinite(mean)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    scale = (len(_SPARKS) - 1) / (high - low) if high > low else 0
    return "".join(_SPARKS[round((mean - low) * scale)] if mean in finite else " " for mean in means)


def _figures(items: Sequence[tuple[str, str, str]]) -> RenderableType:
    """Name, value and unit of each item in one line; only the value stands out."""
    text = Text(overflow="ellipsis", no_wrap=True)
    for index, (name, value, unit) in enumerate(items):
        text.append("   " if index else "")
        text.append(f"{name} " if name else "", style="dim")
        text.append(value, style="bold")
        text.append(unit, style="dim")
    return text


def _launch_parts(launched: Sequence[events.Launch]) -> str:
    return ", ".join(f"{part.phase} {words.seconds(part.seconds)}" for part in launched)
