"""Exports a checkpoint: build in a child, load again in another, store, and only then tell the run's log."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sojourn.checkpoint.digest import digest
from sojourn.runlog.address import resolve
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Commit, Export, ExportInfo
from sojourn.store.base import KeyExists, Store
from sojourn_serving.export.children import build_files, load_again
from sojourn_serving.export.files import upload
from sojourn_serving.export.formats import Format
from sojourn_serving.export.record import MANIFEST_FILE, ExportManifest, ModelRecord

_PIN_FOR = timedelta(hours=2)
_CLAIM = "claim.json"


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export.

    Args:
        folder: address of its files.
        entry: of the run's log.
        manifest: its manifest.json.
        differences: of each format's outputs to the golden ones, the largest.
    """

    folder: str
    entry: Export
    manifest: ExportManifest
    differences: dict[str, float]


def export(
    store: Store,
    address: str,
    formats: Sequence[Format],
    *,
    cache: Path,
    env: Env | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Export the checkpoint at `address` as the run's next version.

    Args:
        store: must be reachable from other processes by its URI.
        cache: local folder for unpacked code.
        say: receives a line when a stage begins.

    Raises:
        NotFound: no such run or checkpoint, or the run keeps no job.
        Fenced: the run was handed over.
        ExportFailed: the model cannot be rebuilt, a format cannot hold it, or it does not reproduce its answers.
    """
    env = env or Env()
    log, commit = resolve(store, address, env)
    log.refuse_if_fenced()
    with _pinned(log, commit, env), tempfile.TemporaryDirectory(prefix="sojourn-export-") as scratch:
        folder = Path(scratch) / "files"
        folder.mkdir()
        say(f"building {', '.join(formats)} from step {commit.step}")
        request = {
            "store": store.uri,
            "prefix": log.prefix,
            "commit": commit.manifest,
            "formats": list(formats),
            "folder": str(folder),
            "cache": str(cache),
        }
        model = build_files(request, Path(scratch))
        say("loading it again with TensorFlow alone")
        differences = load_again(folder, model, formats, Path(scratch))
        return _store(log, commit, folder, ModelRecord.from_json(model), differences, env)


@contextmanager
def _pinned(log: RunLog, commit: Commit, env: Env) -> Iterator[None]:
    """Keep retention away from the checkpoint while it is read."""
    pin = log.pin([commit.checkpoint], holder="export", until=env.now() + _PIN_FOR)
    try:
        yield
    finally:
        log.unpin(pin)


def _store(
    log: RunLog, commit: Commit, folder: Path, model: ModelRecord, differences: dict[str, float], env: Env
) -> Exported:
    version = _claim(log, env)
    key = f"export/{version}"
    files = upload(log.store, f"{log.prefix}/{key}", folder)
    manifest = ExportManifest(
        version=version,
        run=log.prefix.rpartition("/")[2],
        step=commit.step,
        checkpoint=commit.checkpoint,
        commit=commit.manifest,
        formats=tuple(differences),
        model=model,
        files=files,
        created=env.now().isoformat(timespec="seconds"),
    )
    data = manifest.to_bytes()
    log.store.put(f"{log.prefix}/{key}/{MANIFEST_FILE}", data)
    info = ExportInfo(
        version=version,
        key=key,
        manifest=digest(data),
        step=commit.step,
        formats=manifest.formats,
        bytes=manifest.total_bytes,
    )
    return Exported(f"{log.store.uri}/{log.prefix}/{key}", log.export(info), manifest, differences)


def _claim(log: RunLog, env: Env) -> int:
    """The next version, taken exclusively: two exporters at once, or one that died half way, must not mix files."""
    version = log.refresh().last_export + 1
    while True:
        try:
            claim = json.dumps({"claim": env.new_id(), "time": env.now().isoformat()})
            log.store.create(f"{log.prefix}/export/{version}/{_CLAIM}", claim.encode())
        except KeyExists:
            version += 1
        else:
            return version
