"""A history in words: what is said about a run, and one line per entry of its log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape

from sojourn.checkpoint.retention import RetentionPolicy, kept
from sojourn.client.chapter import Chapter
from sojourn.client.tables import html_table, layout, moment, short_metrics
from sojourn.errors import InvalidInput
from sojourn.progress import words
from sojourn.runlog import records

HEADS = ("#", "TIME", "ENTRY", "STEP", "WHAT")
NUMBERS = ("#", "STEP")


def chapter_text(chapter: Chapter) -> str:
    """A chapter as text: what is known of the run, then its entries."""
    lines = [f"{name:<7}   {value}" for name, value in headline(chapter) if value]
    return "\n".join([*lines, *(layout(HEADS, rows(chapter), right=NUMBERS) if chapter.entries else [])])


def chapter_html(chapter: Chapter) -> str:
    """The same for notebooks."""
    lines = [f"<b>{escape(name)}</b> {escape(value)}" for name, value in headline(chapter) if value]
    return "<br>".join(lines) + (html_table(HEADS, rows(chapter)) if chapter.entries else "")


def headline(chapter: Chapter) -> list[tuple[str, str]]:
    """What is said about a chapter before its entries; empty values are not shown."""
    state = chapter.state
    if state is None:
        return [
            ("run", f"{chapter.prefix} ({chapter.run_id})"),
            ("store", chapter.store),
            ("problem", chapter.problem),
        ]
    parent, gone = state.parent, state.fenced_to
    return [
        ("run", f"{state.name} ({state.run_id})"),
        ("store", chapter.store),
        ("from", f"{parent.run_id} in {parent.store}" if parent else ""),
        ("went to", f"{gone.run_id} in {gone.store or chapter.store}" if gone else ""),
        ("head", str(state.head)),
    ]


def rows(chapter: Chapter) -> Iterator[tuple[str, ...]]:
    """One line per entry of a chapter's log."""
    retired, because = retired_entries(chapter), kept_because(chapter)
    for entry in chapter.entries:
        step = getattr(entry.body, "step", None)
        said = what(entry.body) + (" (retired)" if entry.index in retired else "")
        if entry.index in because:
            said += f" (kept: {because[entry.index]})"
        yield str(entry.index), moment(entry.body.time), entry.type, "" if step is None else f"{step:,}", said


def what(body: object) -> str:  # noqa: PLR0911 (one branch per kind of entry)
    """What an entry says, in one line."""
    match body:
        case records.Created(start=start, carried=carried):
            more = f", with {words.plural(len(carried), 'older checkpoint')}" if carried else ""
            return f"starts from step {start.step:,}{more}" if start else ""
        case records.Attempt(term=term, attempt_id=attempt, info=info):
            known = words.facts(info)
            return f"term {term}, attempt {words.short_id(attempt)}" + (known and f", {known}")
        case records.Commit(bytes=size, metrics=metrics):
            return f"{words.size(size)}, {short_metrics(metrics)}" if metrics else words.size(size)
        case records.Export(version=version, formats=formats, bytes=size):
            return f"version {version}, {', '.join(formats)}, {words.size(size)}"
        case records.Pin(holder=holder, keys=keys, until=until):
            return f"{', '.join(keys)} held by {holder} {'until ' + moment(until) if until else 'for good'}"
        case records.Unpin(pin_id=pin):
            return f"pin {pin} taken back"
        case records.Retire(keys=keys, reason=reason):
            return f"{words.plural(len(keys), 'checkpoint')}" + (reason and f": {reason}")
        case records.Fence(recipient=to):
            return f"handed over to {to.run_id} in {to.store or 'this store'}" + (to.cluster and f" on {to.cluster}")
        case records.Takeover(person=person, reason=reason, recipient=to):
            return f"{person} takes the run over to {to.run_id}: {reason}"
    return ""


def kept_because(chapter: Chapter) -> dict[int, str]:
    """Indices of the commit entries whose checkpoint exists, with why it is kept, as far as the log tells."""
    state = chapter.state
    if state is None:
        return {}
    try:
        policy = RetentionPolicy.from_json(state.attempt.info["keep"] if state.attempt else {})
    except (KeyError, TypeError, InvalidInput):  # an attempt of another version
        return {}
    reasons = kept(state.commits, policy)
    pins = state.pinned(datetime.now(UTC))
    found = {}
    for commit in state.commits:
        pin = pins.get(commit.checkpoint)
        held = (f"held by {pin.holder}",) if pin else ()
        found[commit.index] = ", ".join((*reasons.get(commit.checkpoint, ()), *held))
    return {index: reason for index, reason in found.items() if reason and index > 0}


def retired_entries(chapter: Chapter) -> frozenset[int]:
    """Indices of the commit entries whose checkpoint no longer exists."""
    if chapter.state is None:
        return frozenset()
    existing = {commit.index for commit in chapter.state.commits}
    return frozenset(
        entry.index
        for entry in chapter.entries
        if isinstance(entry.body, records.CommitInfo) and entry.index not in existing
    )
