"""`sojourn submit`: a job and its code onto a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.options import format_option
from sojourn_operator.cli.options import cluster_options, timeout_option

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Create a job on a cluster, with its code.")
@click.argument("job", type=click.Path(allow_dash=True))
@click.option("--set", "assign", metavar="PATH=VALUE", multiple=True, help="Change a field of the manifest.")
@click.option("--dry-run", is_flag=True, help="Print what would be created, and create nothing.")
@click.option("--watch", is_flag=True, help="Show its progress until it ends, as `sojourn watch` does.")
@timeout_option(None, "With --watch: stop watching after so long.")
@format_option
@cluster_options
def submit(
    client: Client, job: str, assign: tuple[str, ...], dry_run: bool, watch: bool, timeout: float | None, output: str
) -> None:
    """Create a job on a cluster, with its code.

    JOB is a manifest as `sojourn run` takes it; - is standard input. It may hold a CheckpointStore beside the job. A
    code folder (spec.task.code.directory) is packed: up to 900 KiB travel in a ConfigMap, more goes into the job's
    object store. The job must name its store: spec.checkpoint.store.

    -o json and -o yaml print the objects as the cluster has them then, or with --dry-run as it would get them.
    """
    from sojourn.cli.tables import print_data
    from sojourn_operator.cli.show import print_manifests
    from sojourn_operator.client.submit import create, prepare, stored

    if watch and output != "table":
        raise click.UsageError("--watch shows progress, and -o objects: choose one of them")
    submission = prepare(client, job, assign)
    if dry_run:
        if output == "json":
            print_data(submission.objects, output)
        else:
            print_manifests(submission.objects)
        return
    made = create(client, submission)
    if output != "table":
        print_data([stored(client, obj) for obj in submission.objects], output)
        return
    for obj in submission.objects:
        click.echo(f"{obj['kind']} {obj['metadata']['name']} created in namespace {client.namespace}")
    if watch:
        from sojourn_operator.cli.watch import follow

        follow(made, "auto", timeout)
        return
    _next_steps(made.name, client.namespace)


def _next_steps(name: str, namespace: str) -> None:
    where: Any = f" -n {namespace}"
    click.echo(f"\nWatch it with:\n  sojourn watch {name}{where}", err=True)
