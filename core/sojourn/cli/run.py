"""`sojourn run`: train here, watch, and stop with a checkpoint on Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from sojourn.cli.options import store_option
from sojourn.progress.output import OUTPUTS

if TYPE_CHECKING:
    from sojourn.client.handle import Handle

# Completed, invalid input, suspended, refused: a log has nothing to add.
SAID_IT_ALL = (0, 2, 3, 4)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(short_help="Train a job on this machine, or resume it.")
@click.argument("job", type=click.Path(allow_dash=True))
@store_option
@click.option("--new", is_flag=True, help="Begin a new run, also where one of this name exists.")
@click.option("--restore-from", metavar="ADDRESS", help="Start a new run from this checkpoint, such as digits@best.")
@click.option(
    "--set",
    "assign",
    metavar="PATH=VALUE",
    multiple=True,
    help="Change a field of the manifest, such as spec.training.epochs=3.",
)
@click.option("--ray-address", metavar="ADDRESS", help="Use this Ray cluster. Without it Ray is started here.")
@click.option("--output", type=click.Choice(OUTPUTS), default="auto", show_default=True, help="How progress is shown.")
def run(
    job: str,
    store: str | None,
    new: bool,
    restore_from: str | None,
    assign: tuple[str, ...],
    ray_address: str | None,
    output: str,
) -> None:
    """Train a job on this machine, or resume it.

    JOB is a manifest; - is standard input. A run of the same name and specification in the store is resumed from its
    last checkpoint.

    Ctrl-C, or SIGTERM, commits a checkpoint and then stops; the second time it stops at once. The exit code is 0 when
    the job has completed, 3 when it was stopped with everything committed.
    """
    from sojourn.client.run import run as start
    from sojourn.progress import open_renderer

    with open_renderer(output) as renderer:
        handle = start(job, store=store, new=new, restore_from=restore_from, assign=assign, ray_address=ray_address)
        with _stopping(handle):
            for event in handle.events():
                renderer.show(event)
    code = handle.exit_code or 0
    if code not in SAID_IT_ALL:
        click.echo(f"Log of the training process: {handle.log}", err=True)
    click.get_current_context().exit(code)


@contextmanager
def _stopping(handle: Handle) -> Iterator[None]:
    """Within the block, the first signal asks for a checkpoint and the second kills."""
    actions: Iterator[Callable[[], None]] = iter((handle.stop,))

    def on_signal(number: int, frame: FrameType | None) -> None:
        next(actions, handle.kill)()

    before = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
