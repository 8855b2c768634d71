"""`sojourn report`: the page to send to somebody who was not there."""

from __future__ import annotations

from pathlib import Path

import click

from sojourn.cli.options import store_option


@click.command(short_help="Write a run's history as one HTML page.")
@click.argument("run")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="File to write.",
)
@store_option
def report(run: str, output: Path, store: str | None) -> None:
    """Write a run's history as one HTML page.

    Loss and metrics over all attempts and stores, interruptions and moves, checkpoints, exports and lineage. The page
    needs no network. Its plots need matplotlib: pip install 'sojourn[report]'.
    """
    from sojourn.report.write import write_report

    click.echo(f"Wrote {write_report(run, output, store=store)}")
