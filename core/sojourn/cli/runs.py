"""`sojourn runs`: what there is in a store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option, store_option

if TYPE_CHECKING:
    from sojourn.runlog.runs import RunSummary

HEADS = ("NAME", "RUN ID", "STEP", "COMMITS", "ATTEMPTS", "SIZE", "LAST COMMIT", "STATE")
NUMBERS = ("STEP", "COMMITS", "ATTEMPTS", "SIZE")


@click.command(short_help="List the runs of a store.")
@store_option
@click.option("-n", "--namespace", help="Only runs of this namespace. Local runs are in `local`.")
@format_option
def runs(store: str | None, namespace: str | None, output: str) -> None:
    """List the runs of a store, oldest first."""
    from sojourn.cli.tables import print_data, print_table
    from sojourn.client.history import runs as find

    found = find(store, namespace=namespace)
    if output != "table":
        print_data([record(run) for run in found], output)
    elif found:
        print_table(HEADS, rows(found, datetime.now(UTC)), right=NUMBERS)
    else:
        click.echo("No runs yet. `sojourn run job.yaml` makes one.", err=True)


def rows(found: list[RunSummary], now: datetime) -> Iterator[tuple[str, ...]]:
    """One line of the table per run. The size is that of the checkpoints that exist."""
    from sojourn.client.tables import age
    from sojourn.progress import words
    from sojourn.runlog.runs import LOCAL

    for run in found:
        name = run.name if run.namespace == LOCAL else f"{run.namespace}/{run.name}"
        state = run.state
        if state is None:
            yield name, run.run_id, *([words.UNKNOWN] * 5), f"unreadable: {run.problem.message if run.problem else ''}"
            continue
        latest = state.latest
        yield (
            name,
            run.run_id,
            words.count(latest.step) if latest else words.UNKNOWN,
            words.count(state.commits_made),
            words.count(state.attempts),
            words.size(sum(commit.bytes for commit in state.commits)),
            f"{age(latest.time, now)} ago" if latest else words.UNKNOWN,
            f"handed over to {state.fenced_to.store or state.fenced_to.run_id}" if state.fenced_to else "here",
        )


def record(run: RunSummary) -> dict[str, object]:
    """A run as JSON and YAML show it."""
    from sojourn.runlog.codec import to_json

    result: dict[str, object] = {
        "name": run.name,
        "namespace": run.namespace,
        "runId": run.run_id,
        "prefix": run.prefix,
    }
    if run.state is None:
        return result | {"problem": run.problem.message if run.problem else ""}
    state = run.state
    return result | {
        "term": state.term,
        "attempts": state.attempts,
        "commits": state.commits_made,
        "latest": to_json(state.latest) if state.latest else None,
        "exports": [to_json(export) for export in state.exports],
        "fencedTo": to_json(state.fenced_to) if state.fenced_to else None,
        "head": str(state.head),
    }
