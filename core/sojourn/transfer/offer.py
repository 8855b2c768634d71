"""What a source has to give, said in one document: the run's state, what comes along, and every file's digests.

Manifests come along as stored, and whoever receives them checks them against the digests in the run's log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sojourn.checkpoint.digest import CHUNK_BYTES
from sojourn.checkpoint.files import FileSet, load_file_set, parse_file_set, record_file
from sojourn.checkpoint.records import FileRecord
from sojourn.errors import CorruptData
from sojourn.runlog.codec import from_json, to_json
from sojourn.runlog.entries import canonical
from sojourn.runlog.log import RunLog
from sojourn.signing.bundle import MAX_BYTES
from sojourn.signing.statement import SIGNATURE_FILE
from sojourn.store.base import KeyMissing, Store
from sojourn.transfer.plan import Carry, FolderCopy, Origin

FORMAT = 1


@dataclass(frozen=True, slots=True)
class OfferedFolder:
    """Files of one folder.

    Args:
        source: key of the folder in the source's store.
        target: key relative to the new run's folder.
        manifest: the manifest.json that lists the files, as stored; "" where there is none.
        files: the files, where no manifest lists them.
        signature: the signature that lies beside them, as stored; "" where there is none.
    """

    source: str
    target: str
    manifest: str = ""
    files: tuple[FileRecord, ...] = ()
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A run at one moment, and the files that come along. `store_id` is that of the source's store, "" if unknown."""

    origin: Origin
    carry: Carry
    folders: tuple[OfferedFolder, ...]
    store_id: str = ""
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """As JSON."""
        return canonical(to_json(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Offer:
        """Raises CorruptData if `data` is no offer, or one of another version."""
        try:
            content = json.loads(data)
            if content.get("format", FORMAT) != FORMAT:
                raise CorruptData("the other side runs another version of Sojourn", hint="Update both to the same.")
            return from_json(cls, content)
        except (ValueError, AttributeError) as error:
            raise CorruptData(f"what the source offers is not readable: {error}") from error

    def folder_copies(self, prefix: str, *, adopt: bool = False) -> list[FolderCopy]:
        """What is to be copied below `prefix` in the target; with `adopt` without the checkpoints, which stay.

        Raises:
            CorruptData: a manifest is not the one that the run's log names.
        """
        stay = {commit.checkpoint for commit in self.carry.commits} if adopt else set()
        expected = {commit.checkpoint: commit.manifest for commit in self.carry.commits}
        expected |= {export.key: export.manifest for export in self.carry.exports}
        return [
            FolderCopy(
                _file_set(folder, expected.get(folder.target, "")),
                f"{prefix}/{folder.target}",
                folder.signature.encode(),
            )
            for folder in self.folders
            if folder.target not in stay
        ]


def make_offer(log: RunLog, carry: Carry, *, store: str = "", store_id: str = "") -> Offer:
    """The offer of `carry` from the run as it was last read; `store` is its store's address for people.

    Raises:
        CorruptData: a manifest of the run is damaged.
    """
    folders = [
        _listed(log, commit.location(log.prefix), commit.checkpoint, commit.manifest) for commit in carry.commits
    ]
    folders += [_listed(log, f"{log.prefix}/{export.key}", export.key, export.manifest) for export in carry.exports]
    jobs = f"{log.prefix}/job"
    names = [info.key.removeprefix(f"{jobs}/") for info in log.store.list(jobs)]
    if names:
        # No manifest lists them; their digests are taken now, so that they arrive as they were read.
        folders.append(OfferedFolder(jobs, "job", files=tuple(record_file(log.store, jobs, name) for name in names)))
    origin = Origin(store or log.store.uri, log.prefix, log.state, log.state.fence_digest)
    return Offer(origin, carry, tuple(folders), store_id)


def _listed(log: RunLog, source: str, target: str, manifest: str) -> OfferedFolder:
    files = load_file_set(log.store, source, manifest)
    return OfferedFolder(source, target, files.manifest.decode(), signature=_signature(log.store, source))


def _signature(store: Store, folder: str) -> str:
    """It comes along as it is: whoever demands signatures finds out whether it is any good."""
    try:
        return store.read(f"{folder}/{SIGNATURE_FILE}", 0, MAX_BYTES).decode(errors="replace")
    except KeyMissing:
        return ""


def _file_set(folder: OfferedFolder, expected: str) -> FileSet:
    if folder.manifest:
        return parse_file_set(folder.source, folder.manifest.encode(), expected)
    if expected:
        raise CorruptData(f"{folder.source} comes without the manifest that the run's log names")
    return FileSet(folder.source, folder.files, b"", CHUNK_BYTES)
