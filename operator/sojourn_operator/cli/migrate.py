"""`sojourn migrate`: carry a job to another cluster, namespace or store, and go on there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.options import format_option
from sojourn_operator.cli.options import cluster_options, named, names, timeout_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sojourn_operator.client import Client, MigrationHandle


@click.command(short_help="Carry a job to another cluster, where it goes on.")
@named("trainingjobs", "JOB")
@click.option(
    "--to",
    "cluster",
    metavar="CLUSTER",
    default="",
    help="RemoteCluster to go to.  [default: this cluster]",
    shell_complete=lambda ctx, param, text: [it for it in names("remoteclusters", ctx.params) if it.startswith(text)],
)
@click.option("--to-namespace", metavar="NAME", default="", help="Namespace to go to.  [default: the job's]")
@click.option("--to-store", metavar="NAME", default="", help="CheckpointStore to go to.  [default: of the same name]")
@click.option("--name", "target", metavar="NAME", default="", help="Name there.  [default: the job's]")
@click.option("--copy", is_flag=True, help="The job goes on here too: an independent copy goes there.")
@click.option("--serve", is_flag=True, help="Serve the model there, by a ModelServer.")
@click.option("--replicas", type=click.IntRange(min=1), default=1, show_default=True, help="With --serve: its pods.")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on training there.")
@click.option(
    "--standby/--no-standby",
    default=True,
    show_default=True,
    help="Stop the job only when its pods there are ready; without, it stops first.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and what would fail.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Show how it goes until it has ended.")
@timeout_option(None, "Wait at most so long; the migration goes on.")
@format_option
@cluster_options
def migrate(client: Client, name: str, serve: bool, replicas: int, output: str, **options: Any) -> None:
    """Carry a job to another cluster, where it goes on.

    While it trains, pods get ready there and what it has committed is copied. Then it commits a checkpoint and stops,
    the rest is copied and verified, the run is handed over, and goes on there: from that very step. With --no-standby
    it stops first, as where the two have to share their nodes. Until the hand-over a failure leaves everything as it
    was. With --dry-run nothing moves, and the exit code is 1 where something would fail.
    """
    from sojourn.cli.tables import print_data
    from sojourn_operator.client.migration import Journey
    from sojourn_operator.client.migration import migrate as start

    wait, timeout = options.pop("wait"), options.pop("timeout")
    options["namespace"], options["store"] = options.pop("to_namespace"), options.pop("to_store")
    options["name"] = options.pop("target")
    handle = start(client, name, Journey(serve=replicas if serve else 0, **options))
    click.echo(f"Migration {handle.name} created in namespace {client.namespace}", err=True)
    if wait or options["dry_run"]:
        follow(handle, timeout)
        show(handle, output)
    elif output != "table":
        print_data(handle.object, output)


def follow(handle: MigrationHandle, timeout: float | None) -> None:
    """One line per stage as it changes, on standard error."""
    from sojourn_operator.cli.show import stage_line
    from sojourn_operator.client.errors import JobFailed
    from sojourn_operator.client.migration import failure_of

    said: dict[str, str] = {}
    for _ in handle.client.looks(timeout, f"Migration {handle.name}"):
        found = handle.object
        for stage in found.get("status", {}).get("pipeline", ()):
            if stage.get("phase", "Pending") != "Pending" and said.get(stage["name"]) != stage["phase"]:
                said[stage["name"]] = stage["phase"]
                click.echo(stage_line(stage), err=True)
        if handle.is_over(found):
            break
    if why := failure_of(found):
        hint = f"kubectl describe migration {handle.name} -n {handle.client.namespace}"
        raise JobFailed(f"Migration {handle.name}: {why}", hint=hint)


def show(handle: MigrationHandle, output: str) -> None:
    """What came of a Migration, or its plan."""
    from sojourn.cli.tables import print_data, print_fields

    found = handle.object
    status = found.get("status", {})
    if output != "table":
        print_data(found, output)
    elif found["spec"].get("dryRun"):
        print_fields((key, _text(value)) for key, value in status.get("plan", {}).items())
    else:
        print_fields(_summary(status))


def _summary(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    from sojourn.progress import words

    def step(key: str) -> str:
        return words.count(status[key]) if key in status else ""

    return [
        ("Committed step", step("committedStep")),
        ("Resumed step", step("resumedStep")),
        ("Bytes", words.size(status["bytes"]) if "bytes" in status else ""),
        ("Downtime", words.seconds(status["downtimeSeconds"]) if "downtimeSeconds" in status else ""),
        ("Server", status.get("url", "")),
    ]


def _text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)
