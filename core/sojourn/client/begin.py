"""A folder to start from, and the check of manifests before anything starts."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sojourn.errors import Refused

if TYPE_CHECKING:
    from sojourn.api import Loaded, Problem

TEMPLATES: Final = {"job.yaml.txt": "job.yaml", "task.py.txt": "task.py"}


def init(directory: str | Path = ".", *, force: bool = False) -> list[Path]:
    """Write a job.yaml and a task.py with a small Keras model, which run as they are; the files.

    Args:
        directory: is made where it is not there; its name becomes the job's.
        force: overwrite these two files.

    Raises:
        Refused: one of them is there.
    """
    folder = Path(directory)
    present = [name for name in TEMPLATES.values() if (folder / name).exists()]
    if present and not force:
        raise Refused(
            f"{folder} already has {' and '.join(present)}",
            hint="Name another folder, or overwrite them with --force.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    name = job_name(folder.resolve().name)
    written = []
    for source, target in TEMPLATES.items():
        text = files("sojourn.cli").joinpath("templates", source).read_text(encoding="utf-8")
        (folder / target).write_text(text.replace("{name}", name), encoding="utf-8")
        written.append(folder / target)
    return written


def job_name(text: str) -> str:
    """A folder's name as a job's: lower case, digits, hyphens, at most 40; "my-job" if nothing is left of it."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower())
    return re.sub(r"^[^a-z]+", "", words)[:40].strip("-") or "my-job"


def validate(*manifests: str | Path) -> list[Loaded]:
    """Check manifests: their objects, each with its file and line. Nothing is started or changed.

    Args:
        manifests: YAML or JSON files with one document or several; "-" is standard input.

    Raises:
        InvalidManifest: an InvalidInput with all `problems` of all files.
        NotFound: there is no such file.
    """
    from sojourn.api import InvalidManifest, load_manifests

    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for file in manifests:
        try:
            loaded += load_manifests(file)
        except InvalidManifest as error:
            problems += error.problems
    if problems:
        raise InvalidManifest(problems)
    return loaded
