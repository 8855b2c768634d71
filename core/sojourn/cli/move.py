"""`sojourn move`: from the fence on, the run goes on in the other store and nowhere else."""

from __future__ import annotations

import click

from sojourn.cli.options import format_option, store_option
from sojourn.cli.transfers import print_transfer


@click.command(short_help="Hand a run over to another store, where it goes on.")
@click.argument("run")
@click.option("--to", "target", metavar="DIR|URI", required=True, help="Store where the run goes on.")
@store_option
@click.option("--name", default="", help="Another name for it there.")
@format_option
def move(run: str, target: str, store: str | None, name: str, output: str) -> None:
    """Hand a run over to another store, where it goes on.

    Stop its training first. Everything is copied and verified, then the run is fenced here, which is the moment of
    hand-over: running its job here is refused from then on. An interrupted move goes on when it is asked for again.
    """
    from sojourn.cli.bars import bytes_bar
    from sojourn.client.transfer import move as bring

    with bytes_bar(f"Moving {run}") as progress:
        result = bring(run, target, store=store, name=name, progress=progress)
    print_transfer("Moved", run, result, output)
