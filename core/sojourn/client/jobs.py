"""One job to run, from any of the forms in which people have it, and the store that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sojourn.api import (
    CheckpointStore,
    CheckpointStoreSpec,
    InvalidManifest,
    Loaded,
    Resource,
    TrainingJob,
    load_manifests,
    parse,
)
from sojourn.client.overrides import override
from sojourn.errors import InvalidInput

JobSource = str | Path | Mapping[str, Any] | TrainingJob


@dataclass(frozen=True, slots=True)
class JobToRun:
    """A validated job.

    Args:
        job: the job itself.
        base: the folder that its relative paths start from.
        store: the address of the store it names, if any.
        environment: variables that the training process needs to reach that store.
        restore_store: the address of the store that its restoreFrom names, if any and if it is known here.
    """

    job: TrainingJob
    base: Path
    store: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    restore_store: str | None = None


def load_job(source: JobSource, assignments: Sequence[str] = (), *, look_for_store: bool = True) -> JobToRun:
    """The one TrainingJob of a file ("-" is standard input), a mapping or an object.

    Args:
        source: where the job is.
        assignments: `path=value` changes to it, as in "spec.training.epochs=3".
        look_for_store: find the store that the job names; False where another one is used.

    Raises:
        InvalidInput: it is not valid, not exactly one, or names a store that cannot be found here.
        NotFound: there is no such file.
    """
    loaded, base = _load(source)
    found = _only_job(source, loaded)
    stores = [item.obj for item in loaded if isinstance(item.obj, CheckpointStore)]
    job = _changed(found, assignments) if assignments else found
    store = _named_store(job, stores) if look_for_store else None
    return JobToRun(
        job, base, store.uri if store else None, _environment(store) if store else {}, _restore_store(job, stores)
    )


def load_submission(
    source: JobSource, assignments: Sequence[str] = ()
) -> tuple[TrainingJob, tuple[Resource, ...], Path]:
    """The one TrainingJob of a file, the other objects beside it, and the folder that its relative paths start from.

    Raises:
        InvalidInput: something is not valid, or it has not exactly one job.
        NotFound: there is no such file.
    """
    loaded, base = _load(source)
    job = _only_job(source, loaded)
    others = tuple(item.obj for item in loaded if item.obj is not job)
    return _changed(job, assignments) if assignments else job, others, base


def _only_job(source: JobSource, loaded: Sequence[Loaded]) -> TrainingJob:
    jobs = [item.obj for item in loaded if isinstance(item.obj, TrainingJob)]
    if len(jobs) != 1:
        names = ", ".join(job.name for job in jobs) or "none"
        raise InvalidInput(
            f"one TrainingJob is run at a time, and {_named(source)} has {len(jobs)}: {names}",
            hint="Keep each job in a file of its own.",
        )
    return jobs[0]


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
        said = [
            " ".join(filter(None, (p.message, p.expected and f"(expected: {p.expected})", p.advice)))
            for p in error.problems
        ]
        listed = "\n".join(f"  {p.field}: {text}" for p, text in zip(error.problems, said, strict=True))
        raise InvalidInput(f"--set makes the manifest of {job.name} invalid\n{listed}") from error
    if not isinstance(changed, TrainingJob):
        raise InvalidInput("--set cannot change the kind of a manifest")
    return changed


def _named_store(job: TrainingJob, stores: Sequence[CheckpointStore]) -> CheckpointStoreSpec | None:
    reference = job.spec.checkpoint.store
    if reference is None:
        return None
    if reference.uri is not None:
        return CheckpointStoreSpec(uri=reference.uri)
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
    return found.spec


def _restore_store(job: TrainingJob, stores: Sequence[CheckpointStore]) -> str | None:
    """None also where the store is not known here: it matters only when the run is begun."""
    origin = job.spec.restore_from
    if origin is None or origin.store is None:
        return None
    named = [store.spec.uri for store in stores if store.name == origin.store.name]
    return origin.store.uri or (named[0] if named else None)


def _environment(store: CheckpointStoreSpec) -> dict[str, str]:
    """Region and endpoint, by the names that S3 clients read; credentials are in this process's environment."""
    if store.uri is None or not store.uri.startswith("s3://"):
        return {}
    known = {"AWS_REGION": store.region, "AWS_ENDPOINT": store.endpoint}
    return {name: value for name, value in known.items() if value is not None}


def _named(source: JobSource) -> str:
    return str(source) if isinstance(source, str | Path) else "this"
