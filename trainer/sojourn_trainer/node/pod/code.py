"""Where a pod finds the code of its job, as the archive that the run keeps."""

from __future__ import annotations

import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from sojourn.api import TrainingJob
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.store.base import KeyMissing, Store
from sojourn.store.open import open_store
from sojourn.task.archive import ARCHIVE_FILE, LIMIT_BYTES, archive_key, pack

_DOWNLOAD_SECONDS = 60


@dataclass(frozen=True)
class JobWithCode:
    """A job whose code, if it has any of its own, is an archive with that digest; None where the run has it already."""

    job: TrainingJob
    code: bytes | None


def find_code(job: TrainingJob, store: Store, mounted: Path | None) -> JobWithCode:
    """The job with its code.

    A ConfigMap's files are packed, so that all workers, and a run that moves to another cluster, have the same ones;
    one that holds nothing but code.tar is such an archive already.

    Args:
        job: as the attempt has it.
        store: of the run; archives are also looked for at code/<digest>.tar there.
        mounted: folder of the mounted ConfigMap.

    Raises:
        InvalidInput: the code is missing.
        CorruptData: an archive has another digest.
    """
    code = job.spec.task.code
    if code is None:
        return JobWithCode(job, None)
    if code.config_map is not None:
        return _packed(job, code.config_map.name, mounted)
    if code.archive is None:
        return JobWithCode(job, None)
    digest = code.archive.digest
    data = _fetch(code.archive.uri) if code.archive.uri else _from_store(store, digest)
    if data is not None and f"blake3:{blake3(data).hexdigest()}" != digest:
        where = code.archive.uri or f"{store.uri}/{archive_key(digest)}"
        raise CorruptData(
            f"the code archive {where} does not have the digest {digest}",
            hint="Submit the job again, or correct spec.task.code.archive.digest.",
        )
    return JobWithCode(job, data)


def _packed(job: TrainingJob, name: str, mounted: Path | None) -> JobWithCode:
    if mounted is None or not mounted.is_dir():
        raise InvalidInput(f"the ConfigMap {name} with the task's code is not mounted at {mounted or 'SOJOURN_CODE'}")
    # The kubelet's own entries begin with "..": links to a folder that is named after the time of the mount.
    files = [file for file in mounted.iterdir() if not file.name.startswith("..")]
    if [file.name for file in files] == [ARCHIVE_FILE]:
        data = files[0].read_bytes()
        return _with_archive(job, f"blake3:{blake3(data).hexdigest()}", data)
    with tempfile.TemporaryDirectory(prefix="sojourn-code-") as scratch:
        for file in files:
            (Path(scratch) / file.name).write_bytes(file.read_bytes())
        try:
            archive = pack(scratch)
        except InvalidInput as error:
            raise InvalidInput(f"the ConfigMap {name} cannot be used as code: {error.message}") from error
    return _with_archive(job, archive.digest, archive.data)


def _with_archive(job: TrainingJob, digest: str, data: bytes) -> JobWithCode:
    manifest = job.to_manifest()
    manifest["spec"]["task"]["code"] = {"archive": {"digest": digest}}
    return JobWithCode(TrainingJob.model_validate(manifest), data)


def _from_store(store: Store, digest: str) -> bytes | None:
    try:
        return store.read(archive_key(digest))
    except KeyMissing:
        return None


def _fetch(uri: str) -> bytes:
    scheme, found, rest = uri.partition("://")
    if scheme in ("http", "https"):
        try:
            with urllib.request.urlopen(uri, timeout=_DOWNLOAD_SECONDS) as answer:
                return bytes(answer.read(LIMIT_BYTES + 1))
        except OSError as error:
            raise NotFound(f"the code archive {uri} cannot be fetched: {error}") from error
    folder, slash, name = rest.rpartition("/")
    if not found or not slash or not name:
        raise InvalidInput(f"{uri!r} is not the address of a code archive")
    try:
        return open_store(f"{scheme}://{folder}").read(name)
    except KeyMissing as error:
        raise NotFound(f"the code archive {uri} does not exist") from error
