"""The page: one HTML text with its style and plots inside, readable without any network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from sojourn import __version__
from sojourn.progress import words
from sojourn.report import plots
from sojourn.report.model import CommitRow, Report, series

MOST_PLOTS = 6
MOST_COMMITS = 200


def render(report: Report, now: datetime) -> str:
    """The whole page. Raises SojournError where matplotlib is missing."""
    style = files("sojourn.report").joinpath("style.css").read_text(encoding="utf-8")
    title = escape(report.name)
    sections = [
        _header(report),
        _tiles(report),
        _section("Training", _plots(report)),
        _section("Timeline", _figure(plots.timeline(report)) if report.attempts else ""),
        _section("What happened", _events(report)),
        _section("Attempts", _attempts(report)),
        _section("Checkpoints", _commits(report)),
        _section("Exports", _exports(report)),
        _section("Lineage", _lineage(report)),
        f"<footer>Written by Sojourn {escape(__version__)} on {_moment(now)}. Times are in UTC.</footer>",
    ]
    body = "\n".join(section for section in sections if section)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title} · Sojourn</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{style}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _header(report: Report) -> str:
    here = report.sources[-1]
    return f"<header><h1>{escape(report.name)}</h1><p>Training run in <code>{escape(here.store)}</code></p></header>"


def _tiles(report: Report) -> str:
    trained = sum(row.seconds for row in report.attempts)
    lost = sum(row.lost for row in report.attempts)
    moves = [mark for mark in report.marks if mark.kind == "move"]
    existing = [row for row in report.commits if row.exists]
    tiles = [
        (words.count(report.last_step), "steps committed"),
        *_newest(report),
        (words.count(len(report.attempts)), "attempt" if len(report.attempts) == 1 else "attempts"),
        *([(words.count(lost), "steps trained in vain")] if lost else []),
        (words.count(len(moves)), "move" if len(moves) == 1 else "moves"),
        (words.seconds(trained), "in attempts"),
        (words.size(sum(row.commit.bytes for row in existing)), words.plural(len(existing), "checkpoint")),
    ]
    return f'<div class="tiles">{"".join(f"<div class=tile><b>{b}</b><span>{s}</span></div>" for b, s in tiles)}</div>'


def _newest(report: Report) -> list[tuple[str, str]]:
    """The last value of the loss and of one more metric, those of validation where there are any."""
    names = report.metrics
    wanted = [name for name in names if name.startswith("val_")] or list(names)
    found = []
    for name in wanted[:2]:
        rows = series(report, name)
        if rows:
            found.append((words.metric(rows[-1][1][-1][1]), escape(name)))
    return found


def _plots(report: Report) -> str:
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in report.metrics))
    figures = "".join(_figure(plots.metric_plot(report, name)) for name in bases[:MOST_PLOTS])
    left = bases[MOST_PLOTS:]
    note = f'<p class="note">Not drawn: {escape(", ".join(left))}.</p>' if left else ""
    return f'<div class="plots">{figures}</div>{note}' if figures else ""


def _events(report: Report) -> str:
    rows = []
    for mark in report.marks:
        said = {"restart": "restarted", "move": "moved", "copy": "copied"}[mark.kind]
        wait = words.seconds(report.pause(mark))
        tag = f'<span class="tag {mark.kind}">{said}</span>'
        rows.append(([_moment(mark.time), tag, words.count(mark.step), escape(mark.label), wait], ""))
    return _table(("Time", "What", "At step", "", "Without training"), rows, numbers=(2, 4))


def _attempts(report: Report) -> str:
    anything_lost = any(row.lost for row in report.attempts)
    rows = []
    for row in report.attempts:
        lost = f'<span class="restart">{words.count(row.lost)}</span>' if row.lost else ""
        cells = [
            str(row.term),
            _moment(row.began),
            words.seconds(row.seconds),
            f"{words.count(row.first)} → {words.count(row.kept)}",
            words.count(row.commits),
            *([lost] if anything_lost else []),
            f"<code>{escape(report.sources[row.chapter].store)}</code>",
            escape(row.info),
        ]
        rows.append((cells, ""))
    vain = ("In vain",) if anything_lost else ()
    heads = ("Term", "Began", "Lasted", "Steps", "Commits", *vain, "Store", "")
    return _table(heads, rows, numbers=(0, 2, 3, 4, *range(5, 5 + len(vain))), wrap=(len(heads) - 1,))


def _commits(report: Report) -> str:
    names = sorted({name for row in report.commits for name in row.commit.metrics}, key=lambda n: (n != "loss", n))[:5]
    newest = report.commits[-MOST_COMMITS:]
    rows = [(_commit_cells(row, names), "" if row.exists else "gone") for row in newest]
    heads = ("Step", "Epoch", "Time", "Size", *(escape(name) for name in names), "")
    left = len(report.commits) - len(newest)
    note = f'<p class="note">{left:,} older ones are left out.</p>' if left else ""
    return _table(heads, rows, numbers=(0, 1, 3, *range(4, 4 + len(names)))) + note


def _commit_cells(row: CommitRow, names: Sequence[str]) -> list[str]:
    commit = row.commit
    values = [words.metric(commit.metrics[name]) if name in commit.metrics else words.UNKNOWN for name in names]
    state = '<span class="good">kept</span>' if row.exists else "retired"
    return [
        words.count(commit.step),
        words.count(commit.epoch),
        _moment(commit.time),
        words.size(commit.bytes),
        *values,
        state,
    ]


def _exports(report: Report) -> str:
    rows = [
        (
            [
                str(export.version),
                words.count(export.step),
                _moment(export.time),
                escape(", ".join(export.formats)),
                words.size(export.bytes),
            ],
            "",
        )
        for _, export in report.exports
    ]
    return _table(("Version", "Step", "Time", "Formats", "Size"), rows, numbers=(0, 1, 4))


def _lineage(report: Report) -> str:
    rows = []
    for source in report.sources:
        said = escape(source.problem) if source.problem else f"{len(source.entries):,} entries"
        cells = [f"<code>{escape(source.run_id)}</code>", f"<code>{escape(source.store)}</code>", said]
        rows.append(([*cells, f"<code>{escape(source.head)}</code>"], ""))
    return _table(("Run id", "Store", "Log", "Head"), rows, wrap=(3,))


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>\n{content}" if content else ""


def _figure(svg: str) -> str:
    return f"<figure>{svg}</figure>"


def _table(
    heads: Sequence[str],
    rows: Iterable[tuple[Sequence[str], str]],
    *,
    numbers: Sequence[int] = (),
    wrap: Sequence[int] = (),
) -> str:
    """A table of cells that are HTML already; "" where there are no rows."""

    def cell(tag: str, index: int, text: str) -> str:
        kind = ' class="n"' if index in numbers else ' class="wrap"' if index in wrap else ""
        return f"<{tag}{kind}>{text}</{tag}>"

    body = [
        f'<tr{f""" class="{kind}" """.rstrip() if kind else ""}>'
        + "".join(cell("td", index, text) for index, text in enumerate(cells))
        + "</tr>"
        for cells, kind in rows
    ]
    if not body:
        return ""
    head = "".join(cell("th", index, text) for index, text in enumerate(heads))
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
