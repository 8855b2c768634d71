"""Curves and the timeline as SVG that takes its colours from the page, so that it is dark where the page is."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sojourn.errors import SojournError
from sojourn.report.model import AttemptRow, Mark, Report, series, thinned

MOST_POINTS = 800
MOST_LABELS = 8
# Matplotlib knows no CSS variables: it draws in these marker colours, which are replaced in what it wrote.
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--grid)",
    "#040404": "var(--train)",
    "#050505": "var(--validation)",
    "#060606": "var(--lost)",
    "#070707": "var(--restart)",
    "#080808": "var(--move)",
}
_INK, _MUTED, _GRID, _TRAIN, _VALIDATION, _LOST, _RESTART, _MOVE = _VARIABLES
_MARKS = {"restart": _RESTART, "move": _MOVE, "copy": _MOVE}


def metric_plot(report: Report, name: str) -> str:
    """A metric and its validation twin over steps; what was trained in vain is dashed. Raises as `_figure`."""
    figure, axes = _figure(name, (5.0, 2.8))
    curves = ((series(report, name), _TRAIN, "training"), (series(report, f"val_{name}"), _VALIDATION, "validation"))
    for found, colour, label in curves:
        _draw_series(axes, found, colour, label)
    if needs_log_scale(name, [value for found, _, _ in curves for _, points in found for _, value in points]):
        axes.set_yscale("log")
    _draw_marks(axes, report.marks)
    axes.set_xlabel("step")
    axes.legend(loc="best", frameon=False, fontsize=8, labelcolor=_INK)
    return _svg(figure, name)


def needs_log_scale(name: str, values: Sequence[float]) -> bool:
    """Whether a loss falls through so many magnitudes that its end would look flat."""
    finite = [value for value in values if math.isfinite(value)]
    return name.endswith("loss") and bool(finite) and min(finite) > 0 and max(finite) > 30 * min(finite)


def timeline(report: Report) -> str:
    """When each attempt ran, with its commits; one lane per store. Raises as `_figure`."""
    lanes = list(dict.fromkeys(source.store for source in report.sources if source.entries))
    figure, axes = _figure("", (10.0, 0.7 + 0.42 * len(lanes)))
    for row in report.attempts:
        lane = lanes.index(report.sources[row.chapter].store)
        width = max(row.ended - row.began, timedelta(seconds=0.5))
        axes.barh(lane, width, left=row.began, height=0.42, color=_TRAIN, alpha=0.35, linewidth=0)
    for commit in report.commits:
        lane = lanes.index(report.sources[commit.chapter].store)
        axes.plot([commit.commit.time], [lane], marker="|", markersize=13, color=_TRAIN, markeredgewidth=1.4)
    for mark in report.marks:
        axes.axvline(mark.time, color=_MARKS[mark.kind], linewidth=1.1, linestyle=_dashes(mark))
    axes.set_yticks(range(len(lanes)), [_short(lane) for lane in lanes])
    axes.set_ylim(len(lanes) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    _clock_axis(axes)
    return _svg(figure, "timeline")


def _figure(title: str, size: tuple[float, float]) -> tuple[Any, Any]:
    """An empty figure of that width and height in inches; a column of the page is five wide.

    Raises:
        SojournError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise SojournError(
            "A report's plots need matplotlib, which is not installed.",
            hint="Install it with: pip install 'sojourn[report]'",
        ) from error
    figure = Figure(figsize=size, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=_INK)
    axes.tick_params(colors=_MUTED, labelsize=8, length=0)
    axes.xaxis.label.set_color(_MUTED)
    axes.xaxis.label.set_fontsize(8)
    axes.grid(color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure, axes


def _draw_series(
    axes: Any, found: Sequence[tuple[AttemptRow, Sequence[tuple[int, float]]]], colour: str, label: str
) -> None:
    lost_label = "trained in vain" if colour == _TRAIN else ""
    for row, points in found:
        kept = thinned([point for point in points if point[0] <= row.kept], MOST_POINTS)
        lost = thinned([point for point in points if point[0] >= row.kept], MOST_POINTS) if row.lost else []
        few = "o" if len(kept) <= 4 else ""
        if kept:
            axes.plot(*zip(*kept, strict=True), color=colour, linewidth=1.6, marker=few, markersize=3, label=label)
            label = ""
        if lost:
            axes.plot(
                *zip(*lost, strict=True), color=_LOST, linewidth=1.3, linestyle=(0, (2, 2)), label=lost_label, zorder=3
            )
            lost_label = ""


def _draw_marks(axes: Any, marks: Sequence[Mark]) -> None:
    shown = set()
    for mark in marks:
        axes.axvline(
            mark.step,
            color=_MARKS[mark.kind],
            linewidth=1.1,
            linestyle=_dashes(mark),
            label="" if mark.kind in shown else mark.kind,
        )
        shown.add(mark.kind)


def _dashes(mark: Mark) -> object:
    return "solid" if mark.kind == "move" else (0, (5, 3))


def _clock_axis(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set_color(_MUTED)
    axes.xaxis.get_offset_text().set_fontsize(8)


def _short(store: str) -> str:
    return store if len(store) <= 28 else f"…{store[-27:]}"


def _svg(figure: Any, salt: str) -> str:
    """The figure as an inline <svg> element."""
    import matplotlib as mpl

    out = io.StringIO()
    # Text stays text, in the page's font; the salt keeps ids apart where a page holds several figures.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "timezone": "UTC"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\b(id|xlink:href)="(#?)([^"]*)"', lambda m: f'{m[1]}="{m[2]}{_slug(salt)}-{m[3]}"', text)
    text = re.sub(r"url\(#", f"url(#{_slug(salt)}-", text)
    return re.sub("|".join(_VARIABLES), lambda match: _VARIABLES[match[0]], text)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())
