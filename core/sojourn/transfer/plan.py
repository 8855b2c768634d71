"""What a hand-over brings along, and which of it is still missing on the other side (pure)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sojourn.checkpoint.files import FileSet
from sojourn.checkpoint.manifest import MANIFEST_FILE
from sojourn.checkpoint.records import FileRecord
from sojourn.runlog.address import best
from sojourn.runlog.codec import to_json
from sojourn.runlog.entries import MAX_ENTRY_BYTES, canonical
from sojourn.runlog.records import Commit, CommitInfo, Created, ExportInfo, Parent
from sojourn.runlog.state import RunState
from sojourn.signing.statement import SIGNATURE_FILE

Choice = Literal["All", "Needed"]
"""Which checkpoints come along: all that exist, or the newest (to go on from) and the best (to export)."""

_SCRATCH = "transfer-parts"
_ENTRY_ROOM = MAX_ENTRY_BYTES * 3 // 4
_CHILD_IDS = uuid.UUID("6d1f0b1e-4f0f-5b9a-9a53-2f1c8d6c7a10")


@dataclass(frozen=True, slots=True)
class Carry:
    """What comes along: commits in the order of the log, the last being the one to go on from; exports."""

    commits: tuple[Commit, ...]
    exports: tuple[ExportInfo, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return (*(commit.checkpoint for commit in self.commits), *(export.key for export in self.exports))


@dataclass(frozen=True, slots=True)
class Child:
    """The run that is to begin on the other side."""

    run_id: str
    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that is handed over: its store's address, its prefix there, its state, its fence ("": goes on itself)."""

    store: str
    prefix: str
    state: RunState
    fence: str = ""


@dataclass(frozen=True, slots=True)
class FolderCopy:
    """A folder of files, the key that it is to have in the target store, and the signature beside them (b"": none)."""

    files: FileSet
    target: str
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class FileCopy:
    """One file to bring over, from folder to folder."""

    source: str
    target: str
    file: FileRecord
    chunk_bytes: int


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """`missing` is to be copied; `present` has the right name and size in the target, and is to be verified there.

    `scratch` is the folder of the target's store for what is not a whole file yet.
    """

    missing: tuple[FileCopy, ...]
    present: tuple[FileCopy, ...]
    scratch: str

    @property
    def missing_bytes(self) -> int:
        return sum(item.file.size for item in self.missing)

    @property
    def total_bytes(self) -> int:
        return self.missing_bytes + sum(item.file.size for item in self.present)


def choose(state: RunState, choice: Choice) -> Carry:
    """The checkpoints and exports to bring along.

    Of more checkpoints than one log entry can name, the older ones that are not the best stay behind.
    """
    top = best(state)
    needed = {commit.checkpoint for commit in (top, state.latest) if commit}
    commits = [commit for commit in state.commits if choice == "All" or commit.checkpoint in needed]
    exports = tuple(_plain_export(export) for export in state.exports)
    while _entry_bytes(commits, exports) > _ENTRY_ROOM:
        optional = [commit for commit in commits if commit.checkpoint not in needed]
        if optional:
            commits.remove(optional[0])
        elif exports:
            exports = exports[1:]
        else:
            break
    return Carry(tuple(commits), exports)


def plan_files(folders: Sequence[FolderCopy], prefix: str, present: Mapping[str, int]) -> TransferPlan:
    """Divide the folders' files into those to copy and those to verify.

    Args:
        prefix: the new run's folder in the target.
        present: size of each object below that folder, by key. A file that is there was
            written whole (stores show no partial objects), and still counts only after its digests were checked.
    """
    missing: list[FileCopy] = []
    there: list[FileCopy] = []
    for folder in folders:
        for file in folder.files.files:
            item = FileCopy(folder.files.folder, folder.target, file, folder.files.chunk_bytes)
            (there if present.get(f"{folder.target}/{file.name}") == file.size else missing).append(item)
    return TransferPlan(tuple(missing), tuple(there), f"{prefix}/{_SCRATCH}")


def manifests(folders: Sequence[FolderCopy]) -> dict[str, bytes]:
    """Key in the target and bytes of each folder's signature and manifest, as far as it has them."""
    found = {}
    for folder in folders:
        for name, data in ((SIGNATURE_FILE, folder.signature), (MANIFEST_FILE, folder.files.manifest)):
            if data:
                found[f"{folder.target}/{name}"] = data
    return found


def copy_id(origin: Origin, target: str, name: str, namespace: str) -> str:
    """Id of the run that a copy of this state makes there: the same copy asked for twice is one run."""
    newest = origin.state.latest.manifest if origin.state.latest else ""
    return str(uuid.uuid5(_CHILD_IDS, "\n".join([origin.state.run_id, newest, target, namespace, name])))


def child_id(origin: Origin, carry: Carry, target: str, child: Child, *, moves: bool) -> str:
    """Id of the run that a transfer begins; asked again, the same transfer begins the same run.

    Args:
        target: what tells the target's store from others.
        child: its name and namespace; its `run_id` tells one of several tries.
        moves: the run itself goes there, whatever it has by then; else a copy of just these checkpoints and exports.
    """
    brought = [commit.manifest for commit in carry.commits] + [export.manifest for export in carry.exports]
    what = ["move"] if moves else ["copy", *brought]
    parts = [origin.state.run_id, target, child.namespace, child.name, child.run_id, *what]
    return str(uuid.uuid5(_CHILD_IDS, "\n".join(parts)))


def carry_checkpoint(commit: Commit) -> Carry:
    """Just one checkpoint."""
    return Carry((commit,), ())


def carry_export(export: ExportInfo) -> Carry:
    """Just one export, without any checkpoint to go on from."""
    return Carry((), (_plain_export(export),))


def created_entry(origin: Origin, carry: Carry, child: Child, *, adopt: bool) -> Created:
    """Entry 0 of the child run.

    Args:
        adopt: both runs are in one store, and the checkpoints stay where they are.
    """
    state = origin.state
    place = [_plain_commit(commit, (commit.run or origin.prefix) if adopt else "") for commit in carry.commits]
    latest = carry.commits[-1] if carry.commits else None
    parent = Parent(
        store=origin.store,
        run=origin.prefix,
        run_id=state.run_id,
        fence=origin.fence,
        term=state.term,
        commit=_plain_commit(latest, latest.run) if latest else None,
    )
    return Created(
        run_id=child.run_id,
        name=child.name,
        namespace=child.namespace,
        spec_digest=state.created.spec_digest,
        job_digest=state.created.job_digest,
        keep_best=state.keep_best,
        parent=parent,
        start=place[-1] if place else None,
        carried=tuple(place[:-1]),
        exports=carry.exports,
    )


def _plain_commit(commit: CommitInfo, run: str) -> CommitInfo:
    plain = CommitInfo(**{name: getattr(commit, name) for name in CommitInfo.__dataclass_fields__})
    return replace(plain, run=run)


def _plain_export(export: ExportInfo) -> ExportInfo:
    return ExportInfo(**{name: getattr(export, name) for name in ExportInfo.__dataclass_fields__})


def _entry_bytes(commits: Sequence[CommitInfo], exports: Sequence[ExportInfo]) -> int:
    return len(canonical([to_json(item) for item in (*commits, *exports)]))
