"""`sojourn suspend`: commit a checkpoint, stop, and free what the job holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option
from sojourn_operator.cli.options import cluster_options, named, tell, timeout_option

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Let a job commit a checkpoint and stop.")
@named("trainingjobs", "JOB")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until its pods are gone.")
@timeout_option(600.0, "Wait at most so long.")
@format_option
@cluster_options
def suspend(client: Client, name: str, wait: bool, timeout: float | None, output: str) -> None:
    """Let a job commit a checkpoint and stop. `sojourn resume` goes on from there."""
    job = client.job(name)
    step = job.suspend(wait=wait, timeout=timeout)
    said = "Asked it to suspend itself." if step is None else f"Suspended at step {step:,}, all of it committed."
    tell(said, job, output)
