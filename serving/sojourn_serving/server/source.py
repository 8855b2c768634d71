"""Finds the SavedModel to serve in a folder: the folder itself, an export, or TensorFlow Serving's <base>/<version>."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sojourn.errors import NotFound

_MODEL_FILE = "saved_model.pb"
_GOLDEN_FILE = "golden.npz"


@dataclass(frozen=True, slots=True)
class Servable:
    """A SavedModel's folder, its version, and the golden inputs and outputs recorded beside it, if any."""

    path: Path
    version: int
    golden: Path | None


def find(folder: Path) -> Servable:
    """The newest servable of `folder`.

    Raises:
        NotFound: no SavedModel is there.
    """
    if (folder / _MODEL_FILE).is_file():
        return _servable(folder)
    versions = [child for child in folder.iterdir() if _version(child) and (child / _MODEL_FILE).is_file()]
    if not versions:
        raise NotFound(
            f"no SavedModel in {folder}: neither {_MODEL_FILE} nor <version>/{_MODEL_FILE} is there",
            hint="give a SavedModel's folder, an export's folder, or a run's address",
        )
    return _servable(max(versions, key=_version))


def _version(folder: Path) -> int:
    return int(folder.name) if folder.name.isascii() and folder.name.isdigit() else 0


def _servable(folder: Path) -> Servable:
    golden = folder / _GOLDEN_FILE
    return Servable(folder.resolve(), _version(folder.resolve()) or 1, golden if golden.is_file() else None)
