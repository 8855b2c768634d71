"""`sojourn resume`: a suspended job goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn_operator.cli.options import cluster_options, named

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Let a suspended job go on.")
@named("trainingjobs", "JOB")
@cluster_options
def resume(client: Client, name: str) -> None:
    """Let a suspended job go on, from its last committed checkpoint."""
    client.job(name).resume()
    click.echo(f"Resumed. Watch it with: sojourn watch {name} -n {client.namespace}")
