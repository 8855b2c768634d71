"""`sojourn checkpoint`: a checkpoint of a running job, now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option
from sojourn_operator.cli.options import cluster_options, named, tell, timeout_option

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Let a running job commit a checkpoint now.")
@named("trainingjobs", "JOB")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is committed.")
@timeout_option(600.0, "Wait at most so long.")
@format_option
@cluster_options
def checkpoint(client: Client, name: str, wait: bool, timeout: float | None, output: str) -> None:
    """Let a running job commit a checkpoint now. Training goes on."""
    job = client.job(name)
    step = job.request_checkpoint(wait=wait, timeout=timeout)
    said = "Asked for a checkpoint." if step is None else f"Committed step {step:,}."
    tell(said, job, output)
