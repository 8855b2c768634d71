"""A live view for terminals: a panel that stays below, and above it a log of what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
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
from sojourn.progress.sentences import Tone, sentence
from sojourn.progress.view import RunView, advance

COMMIT_LINE_SECONDS = 10.0
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
        self._held: events.Committed | None = None
        self._held_count = 0
        self._last_commit_line = float("-inf")
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            get_renderable=self.panel, console=console, auto_refresh=refresh, refresh_per_second=8, redirect_stderr=True
        )

    @classmethod
    def on_stream(cls, stream: TextIO) -> LiveRenderer:
        """A renderer that takes the terminal's width and colours from the stream."""
        return cls(Console(file=stream, highlight=False))

    def __enter__(self) -> LiveRenderer:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._release_commit()
        self._live.stop()

    def show(self, event: events.Event) -> None:
        """Take in one event: a line in the log above the panel, or a change in the panel."""
        self._view = advance(self._view, event)
        match event:
            case events.Progress() | events.Launch():
                return
            case events.Committed():
                self._log_commit(event)
                return
            case events.Started() if self._view.attempts == 1 and self._view.launched:
                self._log(event.time, "muted", "ready: " + _launch_parts(self._view.launched))
        self._release_commit()
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

    def _log_commit(self, event: events.Committed) -> None:
        if event.time - self._last_commit_line < COMMIT_LINE_SECONDS:
            self._held = event
            self._held_count += 1
            return
        self._release_commit()
        self._last_commit_line = event.time
        self._log(event.time, *sentence(event))

    def _release_commit(self) -> None:
        """Commits in quick succession share one line, so that the log stays readable."""
        if self._held is not None:
            tone, text = sentence(self._held)
            more = f" (and {words.plural(self._held_count - 1, 'commit')} before it)" if self._held_count > 1 else ""
            self._last_commit_line = self._held.time
            self._log(self._held.time, tone, text + more)
            self._held, self._held_count = None, 0

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
