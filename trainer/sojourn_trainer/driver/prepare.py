"""Finds or begins the run that a job means, before anything expensive is started.

The same manifest again resumes its run. A manifest that defines another run is refused until somebody says `--new`.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace

from blake3 import blake3

from sojourn.api import TrainingJob
from sojourn.api.digest import canonical_json, run_definition, spec_digest
from sojourn.api.policy import RestoreFrom
from sojourn.checkpoint.digest import digest as digest_of
from sojourn.errors import InvalidInput, NotFound, Refused, SojournError
from sojourn.runlog.address import Address, resolve
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Commit, CommitInfo, Created, KeepBest, Parent
from sojourn.runlog.runs import LOCAL, create_run, find_run, run_prefix
from sojourn.store.base import KeyMissing, Store
from sojourn.transfer.copy import bring
from sojourn.transfer.fetch import silent
from sojourn.transfer.plan import carry_checkpoint
from sojourn_trainer.workers.assignment import RunRef

JOB_FILE = "job.json"
CODE_FILE = "code.tar"


@dataclass(frozen=True)
class RunRequest:
    """What somebody asks to run.

    Attributes:
        job: the manifest; a code directory is replaced by its archive's digest.
        code: the archive, or None where the code is installed or the run has it already.
        new: begin a new run even if one of this name exists.
        restore_from: address of a checkpoint to start a new run from, over the manifest's restoreFrom.
        namespace: where the run lies in its store.
        run_id: the run to work on, where it is known already.
        new_run_id: id of a run that has to be begun, so that whoever begins it twice begins one; made up if empty.
        restore_store: the store that the manifest's restoreFrom names, if it names another one. It is only read.
    """

    job: TrainingJob
    code: bytes | None = None
    new: bool = False
    restore_from: str | None = None
    namespace: str = LOCAL
    run_id: str = ""
    new_run_id: str = ""
    restore_store: Store | None = None


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready for an attempt."""

    run: RunRef
    job_folder: str
    spec_digest: str


def prepare_run(store: Store, request: RunRequest) -> PreparedRun:
    """The run to work on; its job's files are in the store when this returns.

    Raises:
        Fenced: the run of that name has moved away.
        NotFound: there is no run with the id that is asked for.
        Refused: the manifest defines another run than the one of that name.
        InvalidInput: the task's code is missing, or the checkpoint to restore from cannot be used.
    """
    job = request.job
    digest = spec_digest(job)
    existing = None if request.new else existing_run(store, request)
    if existing is not None:
        existing.refuse_if_fenced()
        _refuse_changed(store, existing, job, digest)
        folder = keep_job(store, existing.prefix, request)
        return PreparedRun(_ref(store, existing), folder, digest)
    return PreparedRun(*_begin(store, request, digest), digest)


def keep_job(store: Store, prefix: str, request: RunRequest) -> str:
    """Write the job and its code beside the run, once per content; returns the folder, "job/<digest>"."""
    manifest = canonical_json(request.job.to_manifest())
    folder = f"job/{blake3(manifest).hexdigest()}"
    code = request.job.spec.task.code
    if code is not None and code.archive is not None:
        _keep_code(store, prefix, folder, request.code, code.archive.digest)
    store.put(f"{prefix}/{folder}/{JOB_FILE}", manifest)
    return folder


def load_job(store: Store, prefix: str, folder: str) -> TrainingJob:
    """The job as it was kept."""
    return TrainingJob.model_validate(json.loads(store.read(f"{prefix}/{folder}/{JOB_FILE}")))


def _keep_code(store: Store, prefix: str, folder: str, code: bytes | None, digest: str) -> None:
    key = f"{prefix}/{folder}/{CODE_FILE}"
    if code is None:
        try:
            store.stat(key)
        except KeyMissing:
            code = _code_of_another_job(store, prefix, digest)
        else:
            return
    store.put(key, code)


def _code_of_another_job(store: Store, prefix: str, digest: str) -> bytes:
    """The archive beside an earlier form of the job. A run that moved has one: its job names another place now."""
    for info in store.list(f"{prefix}/job/"):
        if info.key.endswith(f"/{CODE_FILE}") and digest_of(code := store.read(info.key)) == digest:
            return code
    raise InvalidInput(
        f"the archive {digest} of the task's code is not with the run",
        hint="Run the manifest that names the code directory, or give the archive with --code.",
    )


def existing_run(store: Store, request: RunRequest) -> RunLog | None:
    """The run that is to be resumed, or None where there is none yet. Raises NotFound if it is asked for by its id."""
    name = request.job.name
    if request.run_id:
        return find_run(store, f"{name}-{request.run_id}", request.namespace)
    try:
        return find_run(store, name, request.namespace)
    except NotFound:
        return None


def _refuse_changed(store: Store, run: RunLog, job: TrainingJob, digest: str) -> None:
    if run.state.created.spec_digest in ("", digest):
        return
    changed = _changed_fields(store, run, job)
    raise Refused(
        f"a run named {job.name} exists in {store.uri}, and this manifest defines another one"
        + (f": {', '.join(changed)} differ" if changed else ""),
        hint="Change them back to resume that run, or begin a new one with --new (or another metadata.name).",
    )


def _changed_fields(store: Store, run: RunLog, job: TrainingJob) -> list[str]:
    key = f"{run.prefix}/job/{run.state.created.job_digest.removeprefix('blake3:')}/{JOB_FILE}"
    try:
        before = TrainingJob.model_validate(json.loads(store.read(key)))
    except (SojournError, ValueError):
        return []
    return sorted(_differing(run_definition(before), run_definition(job), ""))


def _differing(left: object, right: object, path: str) -> list[str]:
    if left == right:
        return []
    if isinstance(left, dict) and isinstance(right, dict):
        keys = left.keys() | right.keys()
        return [
            found for key in keys for found in _differing(left.get(key), right.get(key), f"{path}.{key}".strip("."))
        ]
    return [path]


def _begin(store: Store, request: RunRequest, digest: str) -> tuple[RunRef, str]:
    job = request.job
    run_id = request.new_run_id or str(uuid.uuid4())
    prefix = run_prefix(job.name, run_id, request.namespace)
    folder = keep_job(store, prefix, request)
    best = job.spec.checkpoint.keep_best
    parent, start = _origin(store, request, run_id, prefix)
    created = Created(
        run_id=run_id,
        name=job.name,
        namespace=request.namespace,
        spec_digest=digest,
        job_digest=f"blake3:{folder.removeprefix('job/')}",
        keep_best=KeepBest(metric=best.metric, mode=best.mode) if best is not None else None,
        parent=parent,
        start=start,
    )
    return _ref(store, create_run(store, created)), folder


def _origin(store: Store, request: RunRequest, run_id: str, prefix: str) -> tuple[Parent | None, CommitInfo | None]:
    """The parent and first checkpoint of a run that starts from another run's checkpoint."""
    spec = request.job.spec.restore_from
    if request.restore_from is None and spec is not None and spec.store is not None:
        return _from_other_store(store, request, spec.checkpoint, prefix)
    wanted = request.restore_from or (spec.checkpoint if spec is not None else None)
    if wanted is None:
        return None, None
    source, commit = _resolve(store, wanted, request.namespace)
    source.pin([commit.checkpoint], holder=f"run {request.job.name}-{run_id}", until=None, pin_id=run_id)
    info = _info(commit, source.prefix)
    parent = Parent(store=store.uri, run=source.prefix, run_id=source.state.run_id, commit=info)
    return parent, _first(spec, info)


def _from_other_store(
    store: Store, request: RunRequest, wanted: str, prefix: str
) -> tuple[Parent | None, CommitInfo | None]:
    """Copy the checkpoint into the new run's folder first; interrupted, the next try brings what is missing."""
    if request.restore_store is None:
        raise InvalidInput(
            "spec.restoreFrom.store names a store that is not known here",
            hint="Put the CheckpointStore into the same file, or name the store by its uri.",
        )
    source, commit = _resolve(request.restore_store, wanted, request.namespace)
    bring(source, store, prefix, carry_checkpoint(commit), silent)
    info = _info(commit, source.prefix)
    parent = Parent(store=source.store.uri, run=source.prefix, run_id=source.state.run_id, commit=info)
    return parent, _first(request.job.spec.restore_from, replace(info, run=""))


def _first(spec: RestoreFrom | None, info: CommitInfo) -> CommitInfo | None:
    """The checkpoint that a new run begins with. One of which it takes some variables is none of its own."""
    return None if spec is not None and spec.variables is not None else info


def part_to_take(parent: Parent, store: str) -> CommitInfo | None:
    """Where a run whose store has this address finds the parent's checkpoint: there, or copied beside itself."""
    return parent.commit if parent.commit is None or parent.store == store else replace(parent.commit, run="")


def _resolve(store: Store, wanted: str, namespace: str) -> tuple[RunLog, Commit]:
    """Where an address names no namespace: a checkpoint of the job's own, else one of a run outside of clusters."""
    address = Address.parse(wanted)
    if "/" in wanted or namespace == LOCAL:
        return resolve(store, address)
    try:
        return resolve(store, replace(address, namespace=namespace))
    except NotFound:
        return resolve(store, address)


def _info(commit: Commit, prefix: str) -> CommitInfo:
    fields = {name: getattr(commit, name) for name in CommitInfo.__dataclass_fields__}
    return CommitInfo(**{**fields, "run": commit.run or prefix})


def _ref(store: Store, run: RunLog) -> RunRef:
    return RunRef(store.uri, run.prefix, run.state.name, run.state.run_id)
