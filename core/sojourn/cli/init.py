"""`sojourn init`: a job and a task that run as they are, with comments where people will want to change them."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import click

from sojourn.errors import Refused

NAMES = {"job.yaml.txt": "job.yaml", "task.py.txt": "task.py"}


@click.command(short_help="Write a job manifest and a task to start from.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--force", is_flag=True, help="Overwrite job.yaml and task.py.")
def init(directory: Path, force: bool) -> None:
    """Write a job manifest and a task to start from.

    DIRECTORY, by default this one, gets a job.yaml and a task.py with a small Keras model. They run as they are:
    sojourn run job.yaml
    """
    present = [name for name in NAMES.values() if (directory / name).exists()]
    if present and not force:
        raise Refused(
            f"{directory} already has {' and '.join(present)}",
            hint="Name another folder, or overwrite them with --force.",
        )
    directory.mkdir(parents=True, exist_ok=True)
    name = job_name(directory.resolve().name)
    for source, target in NAMES.items():
        text = files("sojourn.cli").joinpath("templates", source).read_text(encoding="utf-8")
        (directory / target).write_text(text.replace("{name}", name), encoding="utf-8")
        click.echo(f"Wrote {directory / target}")
    click.echo(f"\nTrain it with:\n  sojourn run {directory / 'job.yaml'}")


def job_name(text: str) -> str:
    """A folder's name as a job's: lower case, digits, hyphens, at most 40; "my-job" if nothing is left of it."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower())
    return re.sub(r"^[^a-z]+", "", words)[:40].strip("-") or "my-job"
