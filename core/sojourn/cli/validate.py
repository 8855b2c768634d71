"""`sojourn validate`: what a manifest would do, or everything that is wrong with it, before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sojourn.api import Loaded, TrainingJob


@click.command(short_help="Check manifests and say what is wrong with them.")
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("-q", "--quiet", is_flag=True, help="Print nothing where all is well.")
def validate(files: tuple[str, ...], quiet: bool) -> None:
    """Check manifests and say what is wrong with them.

    FILES are YAML or JSON, with one document or several; - is standard input. Nothing is started or changed.
    The exit code is 2 where something is wrong.
    """
    from sojourn.client.begin import validate as check

    loaded = check(*files)
    if not quiet:
        for item in loaded:
            click.echo(summary(item))


def summary(item: Loaded) -> str:
    """One line on an object, and for a job what it comes to."""
    from sojourn.api import TrainingJob

    head = f"{item.file}:{item.line}: {item.obj.kind} {item.obj.name} is valid"
    return f"{head}\n{_job(item.obj)}" if isinstance(item.obj, TrainingJob) else head


def _job(job: TrainingJob) -> str:
    from sojourn.api import spec_digest
    from sojourn.progress import words

    spec = job.spec
    training = spec.training
    length = words.plural(training.epochs, "epoch") if training.epochs else words.plural(training.steps or 0, "step")
    every = spec.checkpoint.every
    period = words.plural(every.steps, "step") if every.steps else words.plural(every.seconds or 0, "second")
    lines = [
        f"task        {spec.task.entrypoint}",
        f"training    {length} with batches of {training.global_batch_size} on "
        f"{words.plural(spec.workers.replicas, 'worker')} ({spec.strategy}), mode {training.mode}",
        f"checkpoint  every {period}, the last {spec.checkpoint.keep_last} kept",
        f"run         {spec_digest(job)}",
    ]
    if spec.export is not None:
        lines.insert(3, f"export      {', '.join(spec.export.formats)}")
    return "\n".join(f"  {line}" for line in lines)
