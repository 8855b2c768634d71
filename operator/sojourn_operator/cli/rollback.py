"""`sojourn rollback`: an earlier version of a served model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option
from sojourn_operator.cli.options import cluster_options, named, tell, timeout_option

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Serve an earlier version of a model.")
@named("modelservers", "SERVER")
@click.option("--to-version", type=int, metavar="N", help="Which version.  [default: the one before]")
@click.option("--cancel", is_flag=True, help="Take a rollback back: serve what the ModelServer's spec.model says.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it serves.")
@timeout_option(600.0, "Wait at most so long.")
@format_option
@cluster_options
def rollback(
    client: Client, name: str, to_version: int | None, cancel: bool, wait: bool, timeout: float | None, output: str
) -> None:
    """Serve an earlier version of a model, until --cancel. No request is lost."""
    server = client.server(name)
    if cancel and to_version is not None:
        raise click.UsageError("--cancel and --to-version exclude each other")
    if cancel:
        server.follow_model()
    else:
        to_version = server.rollback(to_version)
    if wait:
        said = f"Version {server.wait(timeout).get('activeVersion')} serves."
    else:
        said = "Asked for what spec.model says." if cancel else f"Asked for version {to_version}."
    tell(said, server, output)
