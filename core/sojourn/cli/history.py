"""`sojourn history`: where a run came from, what happened to it, and where it went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option, store_option

if TYPE_CHECKING:
    from sojourn.client.history import Chapter, History

HEADS = ("#", "TIME", "ENTRY", "STEP", "WHAT")


@click.command(short_help="Show a run's attempts, commits, exports and ancestors.")
@click.argument("run")
@store_option
@click.option(
    "-n", "--last", type=click.IntRange(min=0), default=50, show_default=True, help="Newest entries per log; 0 for all."
)
@format_option
def history(run: str, store: str | None, last: int, output: str) -> None:
    """Show a run's attempts, commits, exports and ancestors.

    RUN is a run's name. A run that was moved has a log in each store that it lived in; all of them are shown, the
    oldest first, as far as their stores can be reached from here.
    """
    from sojourn.cli.tables import print_data
    from sojourn.client.history import history as find

    found = find(run, store=store, last=last or None)
    if output == "table":
        print_history(found)
    else:
        print_data([record(chapter) for chapter in found.chapters], output)


def print_history(found: History) -> None:
    """A heading and a table per chapter."""
    from sojourn.cli.tables import print_fields, print_table

    for index, chapter in enumerate(found.chapters):
        if index:
            click.echo()
        print_fields(headline(chapter))
        if chapter.omitted:
            click.echo(f"({chapter.omitted:,} older entries left out; --last 0 shows all)")
        if chapter.entries:
            print_table(HEADS, rows(chapter), right=("#", "STEP"))


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
    from sojourn.cli.tables import moment
    from sojourn.client.history import retired_entries

    retired = retired_entries(chapter)
    for entry in chapter.entries:
        step = getattr(entry.body, "step", None)
        said = what(entry.body) + (" (retired)" if entry.index in retired else "")
        yield str(entry.index), moment(entry.body.time), entry.type, "" if step is None else f"{step:,}", said


def what(body: object) -> str:  # noqa: PLR0911 (one branch per kind of entry)
    """What an entry says, in one line."""
    from sojourn.cli.tables import moment, short_metrics
    from sojourn.progress import words
    from sojourn.runlog import records

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


def record(chapter: Chapter) -> dict[str, object]:
    """A chapter as JSON and YAML show it; entries have the log's own names."""
    from sojourn.runlog.codec import to_json

    result: dict[str, object] = {"store": chapter.store, "prefix": chapter.prefix, "runId": chapter.run_id}
    if chapter.state is None:
        return result | {"problem": chapter.problem}
    return result | {
        "name": chapter.state.name,
        "namespace": chapter.state.namespace,
        "head": str(chapter.state.head),
        "omitted": chapter.omitted,
        "entries": [{"type": entry.type, "digest": entry.digest, **to_json(entry.body)} for entry in chapter.entries],
    }
