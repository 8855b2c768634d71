"""One job to run, from any of the forms in which people have it, and the store that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sojourn.api import CheckpointStore, InvalidManifest, Loaded, TrainingJob, load_manifests, parse
from sojourn.client.overrides import override
from sojourn.errors import InvalidInput

JobSource = str | Path | Mapping[str, Any] | TrainingJob


@dataclass(frozen=True, slots=True)
class JobToRun:
    """A validated job, the folder its relative paths start from, and the address of the store it names, if any."""

    job: TrainingJob
    base: Path
    store: str | None


def load_job(source: JobSource, assignments: Sequence[str] = ()) -> JobToRun:
    """The one TrainingJob of a file ("-" is standard input), a mapping or an object.

    Args:
        source: where the job is.
        assignments: `path=value` changes to it, as in "spec.training.epochs=3".

    Raises:
        InvalidInput: it is not valid, not exactly one, or names a store that cannot be found here.
        NotFound: there is no such file.
    """
    loaded, base = _load(source)
    jobs = [item.obj for item in loaded if isinstance(item.obj, TrainingJob)]
    if len(jobs) != 1:
        names = ", ".join(job.name for job in jobs) or "none"
        raise InvalidInput(
            f"one TrainingJob is run at a time, and {_named(source)} has {len(jobs)}: {names}",
            hint="Keep each job in a file of its own.",
        )
    stores = [item.obj for item in loaded if isinstance(item.obj, CheckpointStore)]
    job = _changed(jobs[0], assignments) if assignments else jobs[0]
    return JobToRun(job, base, _store_address(job, stores))


def _load(source: JobSource) -> tuple[list[Loaded], Path]:
    if isinstance(source, TrainingJob):
        return [Loaded(source, "<object>", 1)], Path.cwd()
    if isinstance(source, Mapping):
        return parse(json.dumps(source), "<mapping>"), Path.cwd()
    base = Path.cwd() if str(source) == "-" else Path(source).parent
    return load_manifests(source), base


def _changed(job: TrainingJob, assignments: Sequence[str]) -> TrainingJob:
    manifest = override(job.to_manifest(), assignments)
    try:
        changed = parse(json.dumps(manifest))[0].obj
    except InvalidManifest as error:
        # Positions in a text that nobody wrote would mislead, so only the fields are named.
        said = [" ".join(filter(None, (p.message, p.expected and f"(expected: {p.expected})"))) for p in error.problems]
        listed = "\n".join(f"  {p.field}: {text}" for p, text in zip(error.problems, said, strict=True))
        raise InvalidInput(f"--set makes the manifest of {job.name} invalid\n{listed}") from error
    if not isinstance(changed, TrainingJob):
        raise InvalidInput("--set cannot change the kind of a manifest")
    return changed


def _store_address(job: TrainingJob, stores: Sequence[CheckpointStore]) -> str | None:
    reference = job.spec.checkpoint.store
    if reference is None or reference.uri is not None:
        return reference.uri if reference else None
    found = next((store for store in stores if store.name == reference.name), None)
    if found is None:
        raise InvalidInput(
            f"the job {job.name} names the CheckpointStore {reference.name!r}, which is not in this file",
            hint="Name a store with --store, or put the CheckpointStore into the same file.",
        )
    if found.spec.uri is None:
        raise InvalidInput(
            f"the CheckpointStore {found.name!r} is a volume of a cluster",
            hint="Name a store of this machine with --store.",
        )
    return found.spec.uri


def _named(source: JobSource) -> str:
    return str(source) if isinstance(source, str | Path) else "this"
