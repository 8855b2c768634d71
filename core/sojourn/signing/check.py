"""Checks signatures: of a checkpoint or an export by its manifest, of any other folder by hashing its files.

A manifest holds the digest of every chunk. So where a trusted signature covers the manifest, whoever reads by the
manifest reads what was signed, and no byte is hashed twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sojourn.checkpoint.files import FileSet
from sojourn.checkpoint.manifest import MANIFEST_FILE
from sojourn.errors import CorruptData
from sojourn.runlog.codec import parse
from sojourn.runlog.records import CommitInfo, ExportInfo
from sojourn.signing.bundle import MAX_BYTES, Bundle
from sojourn.signing.errors import BadSignature, Unsigned
from sojourn.signing.folder import Progress, hash_files, list_files
from sojourn.signing.keys import Trust
from sojourn.signing.statement import SIGNATURE_FILE, Resource, Statement
from sojourn.store.base import KeyMissing, Store
from sojourn.store.keys import join

_FOREIGN = "It was put there from another checkpoint, or the files were replaced. Do not use them."


@dataclass(frozen=True, slots=True)
class FolderCheck:
    """A folder that was held against its signature: who signed, what was read, what is wrong."""

    signer: str
    files: int
    bytes: int
    problems: tuple[str, ...]


def check_stored(store: Store, files: FileSet, info: CommitInfo | ExportInfo, trust: Trust, now: datetime) -> str:
    """Who signed a checkpoint or an export whose manifest is the one that the log names.

    The files themselves are for the reader to hold against the manifest.

    Raises:
        Unsigned: there is no signature.
        BadSignature: it is damaged, not by anybody trusted, or of something else.
        StoreError: the store cannot be read.
    """
    source = f"{files.folder}/{SIGNATURE_FILE}"
    statement, signer = _read(store, files.folder, trust, now)
    covering = [resource for resource in statement.resources if resource.path == MANIFEST_FILE]
    if not covering or not _covers(covering, len(files.manifest)) or not all(r.holds(files.manifest) for r in covering):
        raise BadSignature(f"{source} is not of these files: it was made for {statement.subject!r:.80}", hint=_FOREIGN)
    _check_identity(files, info)
    _check_listed(statement, {*(file.name for file in files.files), MANIFEST_FILE}, "the manifest lists", source)
    digests = {file.name: file.digest for file in files.files}
    for resource in statement.resources:
        recorded = digests.get(resource.path) if (resource.algorithm, resource.end) == ("blake3", None) else None
        if recorded not in (None, f"blake3:{resource.digest.hex()}"):
            raise BadSignature(f"{source} and the manifest differ in the digest of {resource.path}", hint=_FOREIGN)
    _check_listed(statement, list_files(store, files.folder), "the folder holds", source)
    return signer


def check_folder(store: Store, folder: str, trust: Trust, now: datetime, progress: Progress) -> FolderCheck:
    """Hold every file of a folder against its signature.

    Raises:
        Unsigned, BadSignature: as `check_stored`; files that differ are in `problems`.
        StoreError: the store cannot be read.
    """
    source = join(folder, SIGNATURE_FILE)
    statement, signer = _read(store, folder, trust, now)
    sizes = list_files(store, folder)
    problems: list[str] = []
    # A list of stretches has none of a file without a byte.
    listed = [path for path, size in sizes.items() if size or not statement.in_stretches]
    try:
        _check_listed(statement, listed, "the folder holds", source)
    except BadSignature as error:
        problems.append(error.message)
    there = [resource for resource in statement.resources if resource.path in sizes]
    for path in sorted({resource.path for resource in there}):
        stretches = [resource for resource in there if resource.path == path]
        if not _covers(stretches, sizes[path]):
            problems.append(f"{join(folder, path)} has {sizes[path]} bytes, and {source} signs another number")
    hashed = hash_files(store, folder, there, sizes, progress)
    for resource, found in zip(there, hashed, strict=True):
        if isinstance(found, CorruptData):
            problems.append(found.message)
        elif found.digest != resource.digest:
            problems.append(f"{join(folder, resource.name)}: the bytes are not those that were signed")
    return FolderCheck(
        signer, len(statement.paths), sum(sizes[path] for path in {r.path for r in there}), tuple(problems)
    )


def _read(store: Store, folder: str, trust: Trust, now: datetime) -> tuple[Statement, str]:
    key = join(folder, SIGNATURE_FILE)
    try:
        if (size := store.stat(key).size) > MAX_BYTES:
            raise BadSignature(f"{key} has {size} bytes, and no signature has more than {MAX_BYTES}")
        bundle = Bundle.from_bytes(store.read(key), source=key)
    except KeyMissing as error:
        where = join(folder, "").rstrip("/") or store.uri
        raise Unsigned(
            f"{where} is not signed: {SIGNATURE_FILE} is missing there",
            hint="Sign it with `sojourn sign`, if you trust where it comes from.",
        ) from error
    signer = trust.check(bundle, now=now, source=key)
    return Statement.from_bytes(bundle.payload, source=key), signer


def _check_identity(files: FileSet, info: CommitInfo | ExportInfo) -> None:
    """A signed folder as a whole may have been put in another one's place, and the log made to name it."""
    said = parse(files.manifest)
    if isinstance(info, CommitInfo):
        expected = {"checkpoint": info.checkpoint, "step": info.step}
    else:
        expected = {"version": info.version, "step": info.step}
    for name, value in expected.items():
        if said.get(name, value) != value:
            raise BadSignature(
                f"{files.folder}: {name} {said[name]} was signed, and the log says {name} {value}", hint=_FOREIGN
            )


def _check_listed(statement: Statement, there: Iterable[str], what: str, source: str) -> None:
    names = {path for path in there if not statement.ignores(path)}
    signed = {path for path in statement.paths if not statement.ignores(path)}
    if extra := sorted(names - signed):
        raise BadSignature(
            f"{what} {_some(extra)}, which {source} does not sign",
            hint="Remove what does not belong there, or sign again if it does.",
        )
    if missing := sorted(signed - names):
        raise BadSignature(f"{source} signs {_some(missing)}, which is not among what {what}", hint=_FOREIGN)


def _covers(stretches: Iterable[Resource], size: int) -> bool:
    """Whether stretches of one file lie end to end over the whole of it; a file without a byte has none."""
    at = 0
    for stretch in sorted(stretches, key=lambda stretch: stretch.start):
        if stretch.end is None:
            return True
        if stretch.start != at:
            return False
        at = stretch.end
    return at == size


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more
