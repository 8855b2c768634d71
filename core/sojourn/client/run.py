"""Start a training run in a process of its own, and wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sojourn.client.handle import Handle, Outcome
from sojourn.client.jobs import JobSource, load_job
from sojourn.client.launch import RunOptions, prepare
from sojourn.client.settings import Settings
from sojourn.client.stores import canonical


def run(
    job: JobSource,
    *,
    store: str | Path | None = None,
    new: bool = False,
    restore_from: str | None = None,
    assign: Sequence[str] = (),
    ray_address: str | None = None,
) -> Handle:
    """Train a job, or resume its run where one with this name and specification is in the store.

    Args:
        job: a manifest: the path of a file ("-" is standard input), a mapping, or a `sojourn.api.TrainingJob`.
        store: folder or address of the store. Without it: the one that the manifest names, SOJOURN_STORE,
            or the folder sojourn-runs.
        new: begin a new run beside an older one of the same name.
        restore_from: address of the checkpoint that a new run starts from, such as "digits@best".
        assign: changes to the manifest, such as "spec.training.epochs=3".
        ray_address: address of a Ray cluster; without it Ray is started here.

    Returns:
        A handle, at once: training goes on in another process.

    Raises:
        InvalidInput: the manifest or an option cannot be accepted.
        SojournError: the packages for training are not installed.
    """
    settings = Settings.load()
    found = load_job(job, assign, look_for_store=store is None)
    if store is None:
        settings = replace(settings, environment={**settings.environment, **found.environment})
    address = canonical(store if store is not None else found.store, settings)
    origin = canonical(found.restore_store, settings) if found.restore_store else None
    options = RunOptions(new=new, restore_from=restore_from, restore_store=origin, ray_address=ray_address)
    return Handle(prepare(found.job, base=found.base, store=address, options=options, settings=settings))


def wait(handle: Handle, timeout: float | None = None) -> Outcome:
    """Wait until a run has ended: `handle.wait(timeout)`."""
    return handle.wait(timeout)
