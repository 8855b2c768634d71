"""Reads what a report shows from the stores of a run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sojourn.client.chapter import Chapter
from sojourn.client.chapters import History
from sojourn.client.stores import existing_store
from sojourn.errors import SojournError
from sojourn.report.model import Point, Report, Source, build
from sojourn.store.base import Store

_FILE = re.compile(r"/(\d+)(?:-\d+)?\.jsonl$")


def collect(history: History) -> Report:
    """The report of a history whose entries were all read. Chapters out of reach are named without content."""
    chapters = history.chapters
    return build(
        [
            _source(chapter, chapters[index + 1] if index + 1 < len(chapters) else None)
            for index, chapter in enumerate(chapters)
        ]
    )


def _source(chapter: Chapter, following: Chapter | None) -> Source:
    state = chapter.state
    if state is None:
        return Source(chapter.store, chapter.prefix, chapter.run_id, "", (), {}, problem=chapter.problem)
    parent = following.state.parent if following and following.state else None
    try:
        curves, problem = read_curves(existing_store(chapter.store), chapter.prefix), ""
    except SojournError as error:
        curves, problem = {}, f"its curves cannot be read: {error.message}"
    return Source(
        store=chapter.store,
        prefix=chapter.prefix,
        run_id=chapter.run_id,
        name=state.name,
        entries=chapter.entries,
        curves=curves,
        existing=frozenset(commit.index for commit in state.commits),
        handed_over_at=parent.commit.step if parent and parent.commit else None,
        head=str(state.head),
        problem=problem,
    )


def read_curves(store: Store, prefix: str) -> dict[int, tuple[Point, ...]]:
    """What each attempt recorded, by its term: the lines of history/<term>.jsonl or history/<term>-<number>.jsonl."""
    records: dict[int, list[Mapping[str, Any]]] = {}
    for info in store.list(f"{prefix}/history"):
        match = _FILE.search(info.key)
        if match:
            records.setdefault(int(match[1]), []).extend(_lines(store.read(info.key).decode("utf-8", "replace")))
    return {term: _curve(found) for term, found in records.items()}


def _lines(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            # The last line of an attempt that was killed may be cut.
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            yield record


def _curve(records: Sequence[Mapping[str, Any]]) -> tuple[Point, ...]:
    """Points by step. Of running values and means over epochs those are taken that there are more of."""
    of_steps = Counter(name for record in records if not _is_epoch(record) for name in _values(record))
    of_epochs = Counter(name for record in records if _is_epoch(record) for name in _values(record))
    points = []
    for record in records:
        mine, others = (of_epochs, of_steps) if _is_epoch(record) else (of_steps, of_epochs)
        values = {name: value for name, value in _values(record).items() if mine[name] >= others[name]}
        if values:
            time = record.get("time")
            points.append(Point(record["step"], values, float(time) if isinstance(time, int | float) else None))
    return tuple(sorted(points, key=lambda point: point.step))


def _is_epoch(record: Mapping[str, Any]) -> bool:
    return record.get("kind") == "epoch"


def _values(record: Mapping[str, Any]) -> dict[str, float]:
    values = {"loss": record.get("loss"), **(record.get("metrics") or {})}
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
