"""From a manifest to the command line of the node process: built here, started by `Handle`."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.client.extras import require
from sojourn.client.settings import Settings

if TYPE_CHECKING:
    from sojourn.api import TrainingJob

NODE = ("-m", "sojourn_trainer.node", "run")
CODE_FILE = "code.tar"
LOG_FILE = "node.log"
KEEP_LOGS_SECONDS = 30 * 24 * 3600
NEEDED = ("sojourn_trainer", "ray", "tensorflow")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a job is run.

    Attributes:
        new: begin a new run beside an older one of the same name.
        restore_from: address of a checkpoint in the run's store to start from, over the manifest's restoreFrom.
        restore_store: address of the store that the manifest's restoreFrom names.
        ray_address: of a cluster to use, or None to start Ray here.
    """

    new: bool = False
    restore_from: str | None = None
    restore_store: str | None = None
    ray_address: str | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """All that starts a node process. `folder` holds its input and its log, and nothing that the run needs later."""

    name: str
    store: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path

    @property
    def log(self) -> Path:
        """Where everything but events goes."""
        return self.folder / LOG_FILE

    def discard_code(self) -> None:
        """Remove the packed code, which the run keeps in its store; the log and the manifest stay for people."""
        (self.folder / CODE_FILE).unlink(missing_ok=True)


def prepare(
    job: TrainingJob, *, base: Path, store: str, options: RunOptions, settings: Settings, python: str = sys.executable
) -> Launch:
    """Write the job and its packed code into a new folder, and name the command that runs them.

    Args:
        job: the validated manifest.
        base: the folder that `task.code.directory` is relative to.
        store: canonical address of the run's store.
        options: how to run it.
        settings: names the folder for logs and the child's environment.
        python: the interpreter that has the trainer.

    Raises:
        SojournError: a package that training needs is not installed, or the code cannot be packed.
    """
    require("trainer", NEEDED, "Training")
    settings.state.mkdir(parents=True, exist_ok=True)
    prune_logs(settings.state, time.time())
    folder = Path(tempfile.mkdtemp(prefix=f"{job.name}-", dir=settings.state))
    manifest = job.to_manifest()
    code = _pack_code(manifest, base, folder)
    job_file = folder / "job.json"
    job_file.write_text(json.dumps(manifest, indent=2) + "\n")
    command = (python, *NODE, *arguments(job_file, store, code, options))
    return Launch(job.name, store, command, settings.environment, folder)


def prune_logs(state: Path, now: float) -> None:
    """Remove the folders of runs whose process has written nothing to its log for a month.

    Args:
        state: the folder for the logs of local runs.
        now: Unix seconds.
    """
    for job_file in state.glob("*/job.json"):
        log = job_file.with_name(LOG_FILE)
        written = max(path.stat().st_mtime for path in (job_file, log) if path.exists())
        if now - written > KEEP_LOGS_SECONDS:
            shutil.rmtree(job_file.parent, ignore_errors=True)


def arguments(job_file: Path, store: str, code: Path | None, options: RunOptions) -> Sequence[str]:
    """The node's arguments after `run`."""
    found = ["--job", str(job_file), "--store", store, "--events", "json"]
    if code is not None:
        found += ["--code", str(code)]
    if options.new:
        found.append("--new")
    if options.restore_from is not None:
        found += ["--restore-from", options.restore_from]
    if options.restore_store is not None:
        found += ["--restore-store", options.restore_store]
    if options.ray_address is not None:
        found += ["--ray-address", options.ray_address]
    return found


def _pack_code(manifest: dict[str, object], base: Path, folder: Path) -> Path | None:
    """Replace a code directory in the manifest by its archive, and write the archive into `folder`."""
    from sojourn.task.archive import pack

    match manifest:
        case {"spec": {"task": {"code": {"directory": {"path": str(path)}}} as task}}:
            archive = pack(base / path)
            task["code"] = {"archive": {"digest": archive.digest}}
            code = folder / CODE_FILE
            code.write_bytes(archive.data)
            return code
    return None
