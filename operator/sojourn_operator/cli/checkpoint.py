"""`sojourn checkpoint`: a checkpoint of a running job, now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn_operator.cli.options import cluster_options, named, timeout_option

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Let a running job commit a checkpoint now.")
@named("trainingjobs", "JOB")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is committed.")
@timeout_option(600.0, "Wait at most so long.")
@cluster_options
def checkpoint(client: Client, name: str, wait: bool, timeout: float | None) -> None:
    """Let a running job commit a checkpoint now. Training goes on."""
    step = client.job(name).request_checkpoint(wait=wait, timeout=timeout)
    click.echo("Asked for a checkpoint." if step is None else f"Committed step {step:,}.")
