"""`sojourn takeover`: go on with a run whose cluster, or whose heir, is lost."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.options import format_option
from sojourn.errors import InvalidInput, Refused
from sojourn_operator.cli.options import cluster_options, named, names, timeout_option

if TYPE_CHECKING:
    from sojourn_operator.client import Client, TakeoverOrder


def _stores(ctx: click.Context, param: click.Parameter, text: str) -> list[str]:
    return [name for name in names("checkpointstores", ctx.params) if name.startswith(text)]


@click.command(short_help="Go on with a run whose cluster or heir is lost.")
@named("trainingjobs", "JOB")
@click.option("--run", metavar="RUN", default="", help="Run to take over, or its folder.  [default: JOB's name]")
@click.option(
    "--from-store", "store", metavar="NAME", required=True, help="CheckpointStore that has it.", shell_complete=_stores
)
@click.option(
    "--to-store", metavar="NAME", default="", help="Where it goes on.  [default: JOB's]", shell_complete=_stores
)
@click.option("--fence", metavar="DIGEST", default="", help="Override this hand-over, whose heir is lost.")
@click.option("--reason", metavar="TEXT", default="", help="Why; the run's log keeps it.  [default: asked for]")
@click.option("--person", metavar="NAME", default="", help="Who orders it; kept too.  [default: this user]")
@click.option("--yes", is_flag=True, help="Do not ask whether to go ahead.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and what would fail.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Show how it goes until it has ended.")
@timeout_option(None, "Wait at most so long; the takeover goes on.")
@format_option
@cluster_options
def takeover(client: Client, name: str, yes: bool, wait: bool, output: str, **options: Any) -> None:
    """Go on with a run although nobody can be asked to stop it: its cluster is dead, and its store lives.

    JOB is a suspended TrainingJob that goes on from the newest checkpoint in the store. Whoever still trains the run is
    shut out by its log. Where the run was handed over and its heir is lost, --fence names that hand-over. Reason and
    person are kept in the run's log. There is no way back but a migration.
    """
    from sojourn.cli.tables import print_data
    from sojourn_operator.cli.migrate import follow, show
    from sojourn_operator.client import TakeoverOrder, take_over

    timeout, dry_run = options.pop("timeout"), options["dry_run"]
    options["run"] = options["run"] or name
    options["reason"] = options["reason"] or _ask_for_reason()
    options["person"] = options["person"] or _user()
    order = TakeoverOrder(job=name, **options)
    click.echo(what_will_happen(order, client.namespace), err=True)
    if not (yes or dry_run):
        _confirm()
    handle = take_over(client, order)
    click.echo(f"Migration {handle.name} created in namespace {client.namespace}", err=True)
    if wait or dry_run:
        follow(handle, timeout)
        show(handle, output)
    elif output != "table":
        print_data(handle.object, output)


def what_will_happen(order: TakeoverOrder, namespace: str) -> str:
    """For whoever is about to order it."""
    lines = [
        f"Run {order.run} of CheckpointStore {order.store} goes on as TrainingJob {order.job} in namespace "
        f"{namespace}, from its newest checkpoint in that store.",
        "Nobody is asked to stop. Whoever trains it elsewhere can commit nothing more; what is not committed is lost.",
    ]
    if order.fence:
        lines.append(f"The hand-over {order.fence} is overridden: what its heir has trained does not come back.")
    lines.append(f"The run's log keeps that {order.person} ordered it, and why: {order.reason}")
    return "\n".join(lines)


def _ask_for_reason() -> str:
    if not sys.stdin.isatty():
        raise InvalidInput("a takeover needs a reason: the run's log keeps it", hint="Give it with --reason.")
    answer: str = click.prompt("Why is it taken over (the run's log keeps this)", err=True)
    return answer


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise Refused("a takeover is confirmed by a person, and this is no terminal", hint="Say --yes if you are sure.")
    click.confirm("Take it over?", abort=True, err=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise InvalidInput("this user has no name", hint="Say with --person who orders it.") from error
