"""`sojourn history`: where a run came from, what happened to it, and where it went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option, store_option

if TYPE_CHECKING:
    from sojourn.client.chapter import Chapter
    from sojourn.client.chapters import History


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
    from sojourn.client.describe import HEADS, NUMBERS, headline, rows

    for index, chapter in enumerate(found.chapters):
        if index:
            click.echo()
        print_fields(headline(chapter))
        if chapter.omitted:
            click.echo(f"({chapter.omitted:,} older entries left out; --last 0 shows all)")
        if chapter.entries:
            print_table(HEADS, rows(chapter), right=NUMBERS)


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
