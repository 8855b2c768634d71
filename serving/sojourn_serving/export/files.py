"""Files of an export, from a local folder into the run's store and back, digested on the way."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from sojourn.checkpoint.digest import CHUNK_BYTES, ChunkDigests
from sojourn.checkpoint.files import load_file_set
from sojourn.checkpoint.records import FileRecord
from sojourn.errors import CorruptData
from sojourn.runlog.records import ExportInfo
from sojourn.store.base import KeyMissing, Store
from sojourn_serving.export.record import MANIFEST_FILE


def upload(store: Store, key: str, folder: Path) -> tuple[FileRecord, ...]:
    """Copy every file below `folder` durably to `<key>/<relative path>`; their records, by name."""
    records = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        name = path.relative_to(folder).as_posix()
        digests = ChunkDigests()
        with path.open("rb") as source, store.open_writer(f"{key}/{name}") as target:
            while data := source.read(CHUNK_BYTES):
                digests.update(memoryview(data))
                target.write(data)
        whole, chunks = digests.finish()
        records.append(FileRecord(name, digests.size, whole, chunks))
    return tuple(records)


def fetch(store: Store, prefix: str, export: ExportInfo, cache: Path) -> Path:
    """A local folder with the verified export: `<cache>/<digest of its manifest>/<version>`.

    What is there already is verified again, and fetched again if it is damaged.

    Raises:
        CorruptData: the store's bytes do not have the digests of the manifest.
    """
    files = load_file_set(store, f"{prefix}/{export.key}", export.manifest)
    home = cache / export.manifest.removeprefix("blake3:")
    target = home / str(export.version)
    if target.is_dir():
        if all(_intact(target / file.name, file) for file in files.files):
            return target
        shutil.rmtree(target)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home) as scratch:
        partial = Path(scratch) / "export"
        for file in files.files:
            _download(store, f"{prefix}/{export.key}/{file.name}", file, partial / file.name)
        (partial / MANIFEST_FILE).write_bytes(files.manifest)
        try:
            partial.rename(target)
        except OSError:
            # Another process was first: the folder's name is the digest of what is in it.
            if not target.is_dir():
                raise
    return target


def _download(store: Store, key: str, file: FileRecord, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digests = ChunkDigests()
    with path.open("wb") as target:
        for start in range(0, file.size, CHUNK_BYTES):
            try:
                data = store.read(key, start, min(CHUNK_BYTES, file.size - start))
            except KeyMissing as error:
                raise CorruptData(f"{key} is missing, though the export's manifest names it") from error
            digests.update(memoryview(data))
            target.write(data)
    if digests.size != file.size or digests.finish()[0] != file.digest:
        raise CorruptData(f"{key} is not the file that the export's manifest names")


def _intact(path: Path, file: FileRecord) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    digests = ChunkDigests()
    with path.open("rb") as source:
        while data := source.read(CHUNK_BYTES):
            digests.update(memoryview(data))
    return digests.finish()[0] == file.digest
