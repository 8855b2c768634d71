"""Results as columns of text, and as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from sojourn.progress import words

Row = Sequence[str]


def layout(heads: Row, rows: Iterable[Row], *, right: Sequence[str] = ()) -> list[str]:
    """Lines of columns under their heads; those named in `right` hold numbers. Never wraps or cuts a cell."""
    lines = [list(heads), *([cell.replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return ["   ".join(_padded(line, heads, widths, right)).rstrip() for line in lines]


def _padded(cells: Row, heads: Row, widths: Sequence[int], right: Sequence[str]) -> list[str]:
    return [
        cell.rjust(width) if head in right else cell.ljust(width)
        for head, cell, width in zip(heads, cells, widths, strict=True)
    ]


def html_table(heads: Row, rows: Iterable[Row]) -> str:
    """The same as an HTML table."""

    def line(tag: str, cells: Row) -> str:
        return "<tr>" + "".join(f"<{tag} style='text-align:left'>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line('th', heads)}{''.join(line('td', row) for row in rows)}</table>"


def age(time: datetime, now: datetime) -> str:
    """How long ago, in one unit: 12s, 5m, 3h, 2d."""
    seconds = max(0, int((now - time).total_seconds()))
    for limit, unit, size in ((120, "s", 1), (7200, "m", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"


def moment(time: datetime) -> str:
    """A time of the log, in UTC to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def short_metrics(metrics: Mapping[str, float]) -> str:
    """The loss first, then the rest, in one cell."""
    ordered = sorted(metrics, key=lambda name: (name != "loss", name))
    return words.metrics({name: metrics[name] for name in ordered})
