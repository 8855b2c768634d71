"""`sojourn clusters`: where jobs can be carried to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn.cli.options import format_option
from sojourn_operator.cli.options import cluster_options

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="List the clusters that jobs can be carried to.")
@format_option
@cluster_options
def clusters(client: Client, output: str) -> None:
    """List the clusters that jobs can be carried to: the RemoteClusters, and whether they are ready."""
    from sojourn.cli.tables import print_data, print_table
    from sojourn_operator.cli.show import CLUSTER_HEADS, cluster_rows

    found = client.clusters()
    if output != "table":
        print_data(list(found), output)
    elif found:
        print_table(CLUSTER_HEADS, cluster_rows(found, client.clock.now()))
    else:
        click.echo("No RemoteClusters. docs/guides/on-a-cluster.md says how to add one.", err=True)
