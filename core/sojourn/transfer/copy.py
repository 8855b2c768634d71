"""Copies a run into another store (or the same one) as an independent child; the source goes on.

Files come first and the child's log last: it exists when it is complete, and an interrupted copy, asked for again,
brings over only what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sojourn.checkpoint.files import FileSet, load_file_set, read_verified, record_file
from sojourn.checkpoint.sweep import adopter
from sojourn.checkpoint.verify import verify_checkpoint
from sojourn.errors import CorruptData, InvalidInput, NotFound, StoreError
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import create_run, run_prefix
from sojourn.store.base import Store
from sojourn.transfer.plan import (
    Carry,
    Child,
    Choice,
    FileCopy,
    FolderCopy,
    Origin,
    TransferPlan,
    choose,
    copy_id,
    created_entry,
    manifests,
    plan_files,
)

PIN_TIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """Bytes dealt with (copied, or found and verified) of all that there are, and the file at work."""

    file: str
    done: int
    total: int


OnProgress = Callable[[TransferProgress], None]


def silent(progress: TransferProgress) -> None:
    """Shows nothing."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a run is to go; name and namespace are the source's own where they are empty."""

    store: Store
    name: str = ""
    namespace: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class TransferResult:
    """The new run, and what it took: `copied_bytes` were sent, `reused_bytes` were there and verified."""

    child: RunLog
    copied_files: int
    copied_bytes: int
    reused_bytes: int
    adopted: bool


def copy_run(
    source: RunLog,
    to: Destination,
    *,
    choice: Choice = "All",
    env: Env | None = None,
    on_progress: OnProgress = silent,
) -> TransferResult:
    """Copy a run with its checkpoints, exports, job and code. The same copy of the same state is made once.

    Raises:
        InvalidInput: it is to go into its own store under its own name.
        CorruptData: the source is damaged; nothing became visible in the target.
        StoreError: a store failed, or the target has no room; ask again to go on.
    """
    env = env or Env()
    state = source.refresh()
    name, namespace = to.name or state.name, to.namespace or state.namespace
    adopt = source.store.uri == to.store.uri
    if adopt and (name, namespace) == (state.name, state.namespace):
        raise InvalidInput(
            f"{source.store.uri} holds {namespace}/{name} already", hint="Give the copy another name or namespace."
        )
    origin = Origin(source.store.uri, source.prefix, state)
    child = Child(copy_id(origin, to.store.uri, name, namespace), name, namespace)
    existing = find_child(to.store, child, env)
    if existing is not None:
        return TransferResult(existing, 0, 0, 0, adopt)
    carry = choose(state, choice)
    with pinned(source, carry, child, to.store, env):
        report = bring(source, to.store, run_prefix(name, child.run_id, namespace), carry, on_progress)
        if adopt:
            pin_adopted(source, carry, child, env)
        log = create_run(to.store, created_entry(origin, carry, child, adopt=adopt), env)
    return TransferResult(log, report.copied_files, report.copied_bytes, report.reused_bytes, adopt)


def find_child(target: Store, child: Child, env: Env) -> RunLog | None:
    """The child's log, if it was begun already."""
    try:
        return RunLog.open(target, run_prefix(child.name, child.run_id, child.namespace), env=env)
    except NotFound:
        return None


@contextmanager
def pinned(source: RunLog, carry: Carry, child: Child, target: Store, env: Env) -> Iterator[None]:
    """Hold what is carried while it is copied. A copy that is killed holds it for a day, not for ever."""
    if not carry.keys:
        yield
        return
    holder = f"transfer to {target.uri}"
    pin_id = source.pin(carry.keys, holder=holder, until=env.now() + PIN_TIME, pin_id=f"transfer-{child.run_id}")
    yield
    source.unpin(pin_id)


def pin_adopted(source: RunLog, carry: Carry, child: Child, env: Env) -> None:
    """Keep adopted checkpoints for good, in the log of each run whose folder holds them."""
    for holder in {commit.run or source.prefix for commit in carry.commits}:
        keys = [commit.checkpoint for commit in carry.commits if (commit.run or source.prefix) == holder]
        log = source if holder == source.prefix else RunLog.open(source.store, holder, env=env)
        log.pin(keys, holder=adopter(child.run_id), until=None, pin_id=child.run_id)


@dataclass(frozen=True, slots=True)
class CopyReport:
    """Files and bytes that were sent, and bytes that were there and verified."""

    copied_files: int
    copied_bytes: int
    reused_bytes: int


def bring(source: RunLog, target: Store, prefix: str, carry: Carry, on_progress: OnProgress) -> CopyReport:
    """Make everything that is carried complete and verified below `prefix` in the target.

    In the source's own store checkpoints stay where they are and are only verified.

    Raises:
        CorruptData: stored bytes of the source do not match their digests.
        StoreError: a store failed, or the target has no room.
    """
    folders = list(_other_folders(source, carry, prefix))
    if target.uri == source.store.uri:
        _verify_in_place(source, carry)
    else:
        folders = [*_checkpoint_folders(source, carry, prefix), *folders]
    plan = plan_files(folders, {info.key: info.size for info in target.list(prefix)})
    return execute(source.store, target, plan, manifests(folders), on_progress)


def execute(
    source: Store, target: Store, plan: TransferPlan, written_last: dict[str, bytes], on_progress: OnProgress
) -> CopyReport:
    """Carry out a plan: verify what is there, copy what is missing, read it back, and write manifests at the end."""
    meter = _Meter(plan.total_bytes, on_progress)
    damaged = [item for item in plan.present if not _is_intact(target, item, meter)]
    missing = [*plan.missing, *damaged]
    needed = sum(item.file.size for item in missing)
    _check_room(target, needed)
    for item in missing:
        _copy_file(source, target, item, meter)
    for key, data in written_last.items():
        target.put(key, data)
    return CopyReport(len(missing), needed, plan.total_bytes - needed)


class _Meter:
    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._total, self._on_progress = total, on_progress
        self._done = 0

    def add(self, file: str, count: int) -> None:
        self._done += count
        self._on_progress(TransferProgress(file, self._done, self._total))


def _is_intact(target: Store, item: FileCopy, meter: _Meter) -> bool:
    try:
        for _ in read_verified(target, item.target, item.file, item.chunk_bytes):
            pass
    except CorruptData:
        return False
    meter.add(f"{item.target}/{item.file.name}", item.file.size)
    return True


def _copy_file(source: Store, target: Store, item: FileCopy, meter: _Meter) -> None:
    key = f"{item.target}/{item.file.name}"
    with target.open_writer(key) as out:
        for chunk in read_verified(source, item.source, item.file, item.chunk_bytes):
            out.write(chunk)
            meter.add(key, len(chunk))
    # What arrived is read back: the fence that follows gives up the only other copy that counts.
    for _ in read_verified(target, item.target, item.file, item.chunk_bytes):
        pass


def _check_room(target: Store, needed: int) -> None:
    free = target.free_bytes()
    if free is not None and free < needed:
        raise StoreError(
            f"{target.uri} has {free:,} bytes free, and {needed:,} are to be copied",
            hint="Make room there; what was copied already is kept for the next try.",
        )


def _checkpoint_folders(source: RunLog, carry: Carry, prefix: str) -> Iterator[FolderCopy]:
    for commit in carry.commits:
        files = load_file_set(source.store, commit.location(source.prefix), commit.manifest)
        yield FolderCopy(files, f"{prefix}/{commit.checkpoint}")


def _other_folders(source: RunLog, carry: Carry, prefix: str) -> Iterator[FolderCopy]:
    for export in carry.exports:
        files = load_file_set(source.store, f"{source.prefix}/{export.key}", export.manifest)
        yield FolderCopy(files, f"{prefix}/{export.key}")
    jobs = f"{source.prefix}/job"
    names = [info.key.removeprefix(f"{jobs}/") for info in source.store.list(jobs)]
    if names:
        yield FolderCopy(_unrecorded(source.store, jobs, names), f"{prefix}/job")


def _unrecorded(store: Store, folder: str, names: Sequence[str]) -> FileSet:
    """Files that no manifest lists; their digests are taken now, so that they arrive as they were read."""
    return FileSet(folder, tuple(record_file(store, folder, name) for name in names), b"")


def _verify_in_place(source: RunLog, carry: Carry) -> None:
    for commit in carry.commits:
        report = verify_checkpoint(source.store, source.prefix, commit)
        if not report.ok:
            raise CorruptData(report.problems[0].message)
