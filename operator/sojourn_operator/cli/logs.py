"""`sojourn logs`: what a job's pods wrote, also when the pods are gone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sojourn_operator.cli.options import cluster_options, named

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Print what a job's pods wrote, also when they are gone.")
@named("trainingjobs", "JOB")
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written.")
@click.option("--attempt", type=int, metavar="N", help="Number of the attempt.  [default: the newest]")
@click.option("--pod", metavar="NAME", help="Name of the pod.  [default: the head's]")
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last lines.")
@cluster_options
def logs(client: Client, name: str, follow: bool, attempt: int | None, pod: str | None, tail: int | None) -> None:
    """Print what a job's pods wrote, also when they are gone.

    While a pod exists its node has the log. Afterwards it is read where the run keeps it, in the job's store: from
    here where that is an object store, by a short-lived pod where it is a volume.
    """
    from sojourn_operator.client.logs import LogQuery, read_log

    query = LogQuery(attempt=attempt, pod=pod or "", follow=follow, tail=tail)
    for piece in read_log(client.job(name), query):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
