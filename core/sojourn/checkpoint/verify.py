"""Checks that a checkpoint, or a whole run, is what its log says: every entry, every manifest, every chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sojourn.checkpoint.bundle import INDEX_FILE, decode_index
from sojourn.checkpoint.files import FileSet, check_size, load_file_set
from sojourn.checkpoint.hashing import Span, digests
from sojourn.checkpoint.manifest import Manifest
from sojourn.checkpoint.reader import load_manifest
from sojourn.checkpoint.records import FileRecord
from sojourn.errors import CorruptData
from sojourn.runlog.entries import Head
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, ExportInfo
from sojourn.runlog.verify import verify_chain
from sojourn.store.base import Store

Progress = Callable[[int, int], None]
"""Called with the bytes checked so far and the bytes to check in all."""

Also = Callable[[FileSet, CommitInfo | ExportInfo], None]
"""What else a caller demands of a checkpoint or an export, such as a signature; it raises CorruptData."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the log, checkpoint or export that has it (key within the store), and what it is."""

    where: str
    message: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked, and what is wrong with it. `bytes` are those read and digested, `signers` who signed it."""

    entries: int
    checkpoints: int
    exports: int
    files: int
    chunks: int
    bytes: int
    problems: tuple[Problem, ...]
    signers: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass
class _Tally:
    progress: Progress
    also: Also
    total: int = 0
    files: int = 0
    chunks: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)

    def read(self, size: int) -> None:
        self.bytes += size
        self.progress(self.bytes, max(self.total, self.bytes))

    def report(self, entries: int, checkpoints: int, exports: int) -> VerifyReport:
        return VerifyReport(entries, checkpoints, exports, self.files, self.chunks, self.bytes, tuple(self.problems))


def _silent(done: int, total: int) -> None:
    pass


def _nothing(files: FileSet, info: CommitInfo | ExportInfo) -> None:
    pass


def verify_checkpoint(
    store: Store, run_prefix: str, commit: CommitInfo, progress: Progress = _silent, also: Also = _nothing
) -> VerifyReport:
    """Check one checkpoint: its manifest's digest, every file's every chunk, and that index and manifest agree.

    Damage is reported, not raised. Raises StoreError when the store cannot be read.
    """
    tally = _Tally(progress, also, commit.bytes)
    _check_checkpoint(store, run_prefix, commit, tally)
    return tally.report(0, 1, 0)


def verify_export(
    store: Store, run_prefix: str, export: ExportInfo, progress: Progress = _silent, also: Also = _nothing
) -> VerifyReport:
    """Check one export in the same way."""
    tally = _Tally(progress, also, export.bytes)
    _check_export(store, run_prefix, export, tally)
    return tally.report(0, 0, 1)


def verify_run(
    log: RunLog, *, expect_head: Head | None = None, progress: Progress = _silent, also: Also = _nothing
) -> VerifyReport:
    """Check a run: its log from the first entry, then every checkpoint and export that exists.

    Args:
        expect_head: an entry that the log must hold: without one, a log whose tail was cut off is still a log.
        progress: see Progress.
        also: called for every checkpoint and export whose manifest is the one that the log names.

    Damage is reported, not raised, so that one bad chunk does not hide another. Raises StoreError.
    """
    tally = _Tally(progress, also)
    entries = 0
    try:
        entries = verify_chain(log, expect_head).entries
    except CorruptData as error:
        tally.problems.append(Problem(f"{log.prefix}/log", str(error)))
    state = log.state
    tally.total = sum(commit.bytes for commit in state.commits) + sum(export.bytes for export in state.exports)
    for commit in state.commits:
        _check_checkpoint(log.store, log.prefix, commit, tally)
    for export in state.exports:
        _check_export(log.store, log.prefix, export, tally)
    return tally.report(entries, len(state.commits), len(state.exports))


@contextmanager
def _reported(tally: _Tally, where: str) -> Iterator[None]:
    """Damage found in the block is noted, and checking goes on behind it."""
    try:
        yield
    except CorruptData as error:
        tally.problems.append(Problem(where, str(error)))


def _check_checkpoint(store: Store, run_prefix: str, commit: CommitInfo, tally: _Tally) -> None:
    folder = commit.location(run_prefix)
    with _reported(tally, folder):
        manifest = load_manifest(store, run_prefix, commit)
        before = len(tally.problems)
        files = load_file_set(store, folder, commit.manifest)
        with _reported(tally, folder):
            tally.also(files, commit)
        _check_files(store, files, tally)
        if len(tally.problems) == before:
            _check_agreement(store, folder, manifest, commit)


def _check_export(store: Store, run_prefix: str, export: ExportInfo, tally: _Tally) -> None:
    folder = f"{run_prefix}/{export.key}"
    with _reported(tally, folder):
        files = load_file_set(store, folder, export.manifest)
        with _reported(tally, folder):
            tally.also(files, export)
        _check_files(store, files, tally)


def _check_files(store: Store, files: FileSet, tally: _Tally) -> None:
    for file in files.files:
        tally.files += 1
        with _reported(tally, files.folder):
            check_size(store, files.folder, file)
    parts = [part for file in files.files for part in _parts(files, file)]
    hashed = digests(store, [part.span for part in parts], tally.read)
    for part, found in zip(parts, hashed, strict=True):
        with _reported(tally, files.folder):
            if isinstance(found, CorruptData):
                raise CorruptData(f"{part.where}: {found.message}", hint=found.hint)
            if f"blake3:{found.hex()}" != part.digest:
                raise CorruptData(f"{part.where}: the bytes do not match the {part.source} digest")
            tally.chunks += 1


@dataclass(frozen=True, slots=True)
class _Part:
    span: Span
    digest: str
    where: str
    source: str


def _parts(files: FileSet, file: FileRecord) -> Iterator[_Part]:
    """What of a file has a digest: its chunks, or the whole where it has none."""
    key, size = f"{files.folder}/{file.name}", files.chunk_bytes
    if not file.chunks:
        yield _Part(Span(key, 0, file.size), file.digest, key, "recorded")
    for number, digest in enumerate(file.chunks):
        start = number * size
        length = min(size, file.size - start)
        where = f"{key}, chunk {number} (bytes {start} to {start + length - 1})"
        yield _Part(Span(key, start, length), digest, where, "manifest's")


def _check_agreement(store: Store, folder: str, manifest: Manifest, commit: CommitInfo) -> None:
    """TensorFlow reads the index and Sojourn the manifest: they must tell the same."""
    if manifest.meta.step != commit.step:
        raise CorruptData(f"the manifest is of step {manifest.meta.step}, the log commits it as step {commit.step}")
    key = f"{folder}/{INDEX_FILE}"
    if decode_index(store.read(key), source=key).tensors != manifest.tensors:
        raise CorruptData(f"{key} lists other tensors than the manifest")
