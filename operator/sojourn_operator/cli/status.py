"""`sojourn status`: the jobs of a namespace, or one with everything that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option
from sojourn_operator.cli.options import cluster_options, names

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Show jobs on a cluster, or one with all that belongs to it.")
@click.argument(
    "name",
    metavar="[JOB]",
    required=False,
    shell_complete=lambda ctx, param, text: [
        name for name in names("trainingjobs", ctx.params) if name.startswith(text)
    ],
)
@click.option("-A", "--all-namespaces", is_flag=True, help="Jobs of all namespaces.")
@format_option
@cluster_options
def status(client: Client, name: str | None, all_namespaces: bool, output: str) -> None:
    """Show jobs on a cluster, or one with all that belongs to it.

    With JOB: its attempts and their pods, its checkpoints, migrations and model servers.
    """
    from sojourn.cli.tables import print_data, print_table
    from sojourn_operator.cli.show import JOB_HEADS, JOB_NUMBERS, job_rows, print_tree

    now = client.clock.now()
    if name is not None:
        tree = client.job(name).tree()
        if output == "table":
            print_tree(tree, now)
        else:
            print_data(tree, output)
        return
    jobs = client.jobs(all_namespaces=all_namespaces)
    if output != "table":
        print_data(list(jobs), output)
    elif jobs:
        print_table(JOB_HEADS, job_rows(jobs, now), right=JOB_NUMBERS)
    else:
        where = "on this cluster" if all_namespaces else f"in namespace {client.namespace}"
        click.echo(f"No TrainingJobs {where}. `sojourn submit job.yaml` makes one.", err=True)
