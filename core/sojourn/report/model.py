"""What a report shows: a pure fold over the logs of a run's chapters and the curves that its attempts recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from sojourn.progress import words
from sojourn.runlog.entries import Entry
from sojourn.runlog.records import Attempt, Commit, Created, Export, Fence


@dataclass(frozen=True, slots=True)
class Point:
    """What an attempt recorded at a step: "loss" and metrics by name, at a Unix time where that is known."""

    step: int
    values: Mapping[str, float]
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A chapter as a report takes it: where it is, its entries, and the curves of its attempts by term."""

    store: str
    prefix: str
    run_id: str
    name: str
    entries: tuple[Entry, ...]
    curves: Mapping[int, tuple[Point, ...]]
    existing: frozenset[int] = frozenset()
    handed_over_at: int | None = None
    head: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt. `kept` is the last of its steps that counts: later ones were lost and trained again."""

    chapter: int
    term: int
    attempt: str
    info: str
    began: datetime
    ended: datetime
    first: int
    last: int
    kept: int
    commits: int
    curve: tuple[Point, ...] = ()

    @property
    def lost(self) -> int:
        """Steps that were trained in vain."""
        return max(0, self.last - self.kept)

    @property
    def seconds(self) -> float:
        """From its entry in the log to the last sign of it."""
        return (self.ended - self.began).total_seconds()


@dataclass(frozen=True, slots=True)
class CommitRow:
    """One checkpoint. `exists` is False once it was retired."""

    chapter: int
    commit: Commit
    exists: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to the whole run at a step. `kind` is "restart", "move" or "copy"."""

    kind: str
    step: int
    time: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page. `sources` are the chapters, oldest first."""

    name: str
    sources: tuple[Source, ...]
    attempts: tuple[AttemptRow, ...]
    commits: tuple[CommitRow, ...]
    exports: tuple[tuple[int, Export], ...]
    marks: tuple[Mark, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all values that were recorded: the loss first, then the rest by name."""
        names = {name for row in self.attempts for point in row.curve for name in point.values}
        names |= {name for row in self.commits for name in row.commit.metrics}
        return tuple(sorted(names, key=lambda name: (name.removeprefix("val_") != "loss", name)))

    @property
    def last_step(self) -> int:
        """The newest committed step."""
        return self.commits[-1].commit.step if self.commits else 0

    def pause(self, mark: Mark) -> float | None:
        """Seconds from the last sign of training before a mark to the first after it; None where there is none."""
        signs = [point.time for row in self.attempts for point in row.curve if point.time is not None]
        signs += [row.commit.time.timestamp() for row in self.commits]
        at = mark.time.timestamp()
        before, after = [time for time in signs if time <= at], [time for time in signs if time > at]
        return min(after) - max(before) if before and after else None


def build(sources: Sequence[Source]) -> Report:
    """The report of a run that lived in these chapters, oldest first."""
    rows: list[AttemptRow] = []
    commits: list[CommitRow] = []
    exports: list[tuple[int, Export]] = []
    marks: list[Mark] = []
    for chapter, source in enumerate(sources):
        found = _attempts(chapter, source)
        marks += _marks(source, found)
        rows += found
        commits += [
            CommitRow(chapter, entry.body, entry.index in source.existing)
            for entry in source.entries
            if isinstance(entry.body, Commit)
        ]
        exports += [(chapter, entry.body) for entry in source.entries if isinstance(entry.body, Export)]
    name = next((source.name for source in reversed(sources) if source.name), "")
    return Report(name, tuple(sources), tuple(rows), tuple(commits), tuple(exports), tuple(marks))


def _attempts(chapter: int, source: Source) -> list[AttemptRow]:
    rows: list[AttemptRow] = []
    at = 0
    for entry in source.entries:
        body = entry.body
        if isinstance(body, Created) and body.start:
            at = body.start.step
        elif isinstance(body, Attempt):
            rows = _closed(rows, kept=at)
            curve = tuple(point for point in source.curves.get(body.term, ()) if point.step > at)
            seen = [point.time for point in curve if point.time is not None]
            ended = max([body.time, *(datetime.fromtimestamp(time, UTC) for time in seen)])
            last = max([at, *(point.step for point in curve)])
            rows.append(
                AttemptRow(
                    chapter,
                    body.term,
                    body.attempt_id,
                    words.facts(body.info),
                    body.time,
                    ended,
                    at,
                    last,
                    last,
                    0,
                    curve,
                )
            )
        elif isinstance(body, Commit):
            at = body.step
            rows = _committed(rows, body)
        elif isinstance(body, Fence):
            rows = _closed(rows, kept=body.step)
    return rows if source.handed_over_at is None else _closed(rows, kept=source.handed_over_at)


def _committed(rows: list[AttemptRow], commit: Commit) -> list[AttemptRow]:
    if not rows:
        return rows
    row = rows[-1]
    last = max(row.last, commit.step)
    changed = replace(row, ended=max(row.ended, commit.time), last=last, kept=last, commits=row.commits + 1)
    return [*rows[:-1], changed]


def _closed(rows: list[AttemptRow], kept: int) -> list[AttemptRow]:
    """Nothing that the newest attempt did after step `kept` counts."""
    return [*rows[:-1], replace(rows[-1], kept=min(rows[-1].last, kept))] if rows else rows


def _marks(source: Source, rows: Sequence[AttemptRow]) -> list[Mark]:
    marks = [Mark("restart", row.first, row.began, f"attempt of term {row.term}") for row in rows[1:]]
    for entry in source.entries:
        body = entry.body
        if isinstance(body, Fence):
            marks.append(Mark("move", body.step, body.time, f"to {body.recipient.store or 'another run'}"))
        elif isinstance(body, Created) and body.parent and not body.parent.fence and body.start:
            marks.append(Mark("copy", body.start.step, body.time, f"from {body.parent.store}"))
    return sorted(marks, key=lambda mark: mark.time)


def series(report: Report, name: str) -> list[tuple[AttemptRow, tuple[tuple[int, float], ...]]]:
    """(step, value) of a metric for each attempt: as it was recorded, else as its commits have it."""
    found = []
    for row in report.attempts:
        points = [(point.step, point.values[name]) for point in row.curve if name in point.values]
        own = [it.commit for it in report.commits if (it.chapter, it.commit.term) == (row.chapter, row.term)]
        if not points:
            points = [(commit.step, commit.metrics[name]) for commit in own if name in commit.metrics]
        if points:
            found.append((row, tuple(points)))
    return found


def thinned(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most `most` points: the means of equal parts, each at its last step. NaN stays visible as a gap."""
    if len(points) <= most:
        return list(points)
    bounds = [round(i * len(points) / most) for i in range(most + 1)]
    parts = [points[start:end] for start, end in pairwise(bounds)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts if part]
