"""`sojourn copy`: a second, independent run from the same checkpoints."""

from __future__ import annotations

import click

from sojourn.cli.options import format_option, store_option
from sojourn.cli.transfers import print_transfer


@click.command(short_help="Copy a run to another store.")
@click.argument("run")
@click.option("--to", "target", metavar="DIR|URI", required=True, help="Store that gets the copy.")
@store_option
@click.option("--name", default="", help="Another name for the copy; needed within one store.")
@click.option("--needed", is_flag=True, help="Bring only the newest and the best checkpoint.")
@format_option
def copy(run: str, target: str, store: str | None, name: str, needed: bool, output: str) -> None:
    """Copy a run to another store.

    Checkpoints, exports and code are copied as far as they are missing there, and all of it is verified. The run goes
    on, and so may its copy. An interrupted copy goes on when it is asked for again.
    """
    from sojourn.cli.bars import bytes_bar
    from sojourn.client.transfer import copy as bring

    with bytes_bar(f"Copying {run}") as progress:
        result = bring(run, target, store=store, name=name, needed=needed, progress=progress)
    print_transfer("Copied", run, result, output)
