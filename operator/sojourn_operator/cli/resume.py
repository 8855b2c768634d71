"""`sojourn resume`: a suspended job goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option
from sojourn_operator.cli.options import cluster_options, named, tell

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Let a suspended job go on.")
@named("trainingjobs", "JOB")
@format_option
@cluster_options
def resume(client: Client, name: str, output: str) -> None:
    """Let a suspended job go on, from its last committed checkpoint."""
    job = client.job(name)
    job.resume()
    tell(f"Resumed. Watch it with: sojourn watch {name} -n {client.namespace}", job, output)
