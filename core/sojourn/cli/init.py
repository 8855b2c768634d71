"""`sojourn init`: a job and a task that run as they are, with comments where people will want to change them."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write a job manifest and a task to start from.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--force", is_flag=True, help="Overwrite job.yaml and task.py.")
def init(directory: Path, force: bool) -> None:
    """Write a job manifest and a task to start from.

    DIRECTORY, by default this one, gets a job.yaml and a task.py with a small Keras model. They run as they are:
    sojourn run job.yaml
    """
    from sojourn.client.begin import init as write

    for path in write(directory, force=force):
        click.echo(f"Wrote {path}")
    click.echo(f"\nTrain it with:\n  sojourn run {directory / 'job.yaml'}")
