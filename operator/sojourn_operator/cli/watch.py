"""`sojourn watch`: a job's progress as it happens, shown as `sojourn run` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn.progress.output import OUTPUTS
from sojourn_operator.cli.options import cluster_options, named, timeout_option

if TYPE_CHECKING:
    from sojourn_operator.client import Client, Job

SUSPENDED = 3


@click.command(short_help="Show a job's progress until it ends.")
@named("trainingjobs", "JOB")
@click.option("--output", type=click.Choice(OUTPUTS), default="auto", show_default=True, help="How progress is shown.")
@timeout_option(None, "Stop watching after so long; the job goes on.")
@cluster_options
def watch(client: Client, name: str, output: str, timeout: float | None) -> None:
    """Show a job's progress until it ends.

    Ctrl-C stops watching; the job goes on. The exit code is 0 when the job has completed, 3 when it is suspended with
    everything committed, 1 when it failed or goes on elsewhere.
    """
    follow(client.job(name), output, timeout)


def follow(job: Job, output: str, timeout: float | None) -> None:
    """Show a job's events, and leave with the exit code that fits its end."""
    from sojourn import events
    from sojourn.progress import open_renderer

    code = 0
    with open_renderer(output) as renderer:
        for event in job.events(timeout):
            renderer.show(event)
            if isinstance(event, events.Suspended):
                code = SUSPENDED
            elif isinstance(event, events.Failed):
                code = event.exit_code
    click.get_current_context().exit(code)
