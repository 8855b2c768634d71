"""From `spec.data` to arrays: read, clean, split, normalise. The same manifest and seed always give the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sojourn.api.data import CsvData, DataSource, NpzData
from sojourn.api.data import Data as DataSpec
from sojourn.errors import InvalidInput
from sojourn.task.entrypoint import call
from sojourn_trainer.data.prepare import fit, prepared
from sojourn_trainer.data.source import ArraySource, Data, Source, leaves, map_leaves, split, take
from sojourn_trainer.settings import read_settings

_SHOWN_ROWS = 16


def load_data(spec: DataSpec, seed: int) -> Data:
    """Everything that `spec.data` asks for.

    Raises:
        InvalidInput: a file, column or array is missing, or nothing is left to train on.
    """
    source = _read(spec.source)
    if isinstance(source, ArraySource):
        if spec.drop_missing:
            source = without_missing(source, filled=spec.fill_missing is not None)
        if len(source) == 0:
            raise InvalidInput(
                "spec.data has no complete row", hint="Check the file, or set spec.data.dropMissing: false."
            )
    test, validation, train = _split(source, spec, seed)
    preparation, train = fit(train, spec)
    shown = train if validation is None else validation
    unprepared = ArraySource(take(shown, _SHOWN_ROWS)) if preparation is not None else None
    train, validation, test = (prepared(part, preparation) for part in (train, validation, test))
    return Data(train, validation, test, spec.shuffle, spec.prefetch, preparation, unprepared)


def _split(source: Source, spec: DataSpec, seed: int) -> tuple[Any, Any, Any]:
    shares = (spec.split.test, spec.split.validation)
    if not any(shares):
        return None, None, source
    test, validation, train = split(source, shares, seed)
    return test if len(test) else None, validation if len(validation) else None, train


def _read(source: DataSource) -> Source:
    if source.builtin is not None:
        return _builtin(source.builtin.name)
    if source.npz is not None:
        return _npz(source.npz)
    if source.csv is not None:
        return _csv(source.csv)
    if source.tfrecord is not None:
        from sojourn_trainer.data.examples import RecordSource

        return RecordSource(source.tfrecord, read_settings().cache / "records")
    if source.images is not None:
        from sojourn_trainer.data.images import ImageFolderSource

        return ImageFolderSource(source.images)
    if source.function is not None:
        found = call(source.function.entrypoint, source.function.args)
        return ArraySource(found) if isinstance(found, (tuple, list, dict, np.ndarray)) else found
    raise InvalidInput("spec.data.source names no source")


def _builtin(name: str) -> ArraySource:
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")()
    x = loaded.images if name == "digits" else loaded.data
    y = loaded.target
    return ArraySource((x.astype(np.float32), y.astype(np.float32 if name == "diabetes" else np.int64)))


def _npz(spec: NpzData) -> ArraySource:
    path = Path(spec.path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            x, y = (_array(archive, path, given, known) for given, known in ((spec.x, "x"), (spec.y, "y")))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"spec.data.source.npz.path: cannot read {path}: {error}") from error
    return ArraySource((x.astype(np.float32) if x.dtype.kind in "uib" else x, y))


def _array(archive: Any, path: Path, given: str | None, known: str) -> np.ndarray:
    for name in [given] if given else [f"{known}_train", known]:
        if name in archive.files:
            return np.asarray(archive[name])
    raise InvalidInput(
        f"spec.data.source.npz: {path} has no array {given or f'{known}_train or {known}'!r}",
        hint=f"It holds {', '.join(archive.files)}; name one in spec.data.source.npz.{known}.",
    )


def _csv(spec: CsvData) -> ArraySource:
    import pandas as pd

    try:
        frame = pd.read_csv(spec.path, sep=spec.delimiter)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"spec.data.source.csv.path: cannot read {spec.path}: {error}") from error
    features = list(spec.features) or [column for column in frame.columns if column != spec.label]
    missing = [column for column in (*features, spec.label) if column not in frame.columns]
    if missing:
        raise InvalidInput(
            f"spec.data.source.csv: {spec.path} has no column {', '.join(map(repr, missing))}",
            hint=f"Its columns are {', '.join(map(str, frame.columns))}.",
        )
    try:
        x = frame[features].to_numpy(dtype=np.float32)
    except ValueError as error:
        raise InvalidInput(f"spec.data.source.csv: a feature column of {spec.path} is not numeric: {error}") from error
    labels = frame[spec.label]
    return ArraySource((x, _labels(labels)))


def _labels(column: Any) -> np.ndarray:
    """Numbers as they are; words become the index of their class in sorted order, a missing word NaN."""
    if column.dtype.kind in "iub":
        return column.to_numpy(dtype=np.int64)
    if column.dtype.kind == "f":
        return column.to_numpy(dtype=np.float32)
    codes = column.astype("category").cat.codes.to_numpy(dtype=np.int64)
    return codes if (codes >= 0).all() else np.where(codes < 0, np.nan, codes).astype(np.float32)


def without_missing(source: ArraySource, *, filled: bool = False) -> ArraySource:
    """Rows in which every number is finite; of inputs that will be filled, every one of the others."""
    keep = np.ones(len(source), dtype=bool)
    arrays = source.arrays
    looked_at = arrays if not filled else arrays[1:] if isinstance(arrays, tuple) else ()
    for leaf in leaves(looked_at):
        if leaf.dtype.kind == "f":
            keep &= np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
    kept = source if keep.all() else ArraySource(source.fetch(np.flatnonzero(keep)))
    return ArraySource(map_leaves(_integers_again, kept.arrays)) if kept is not source else source


def _integers_again(leaf: np.ndarray) -> np.ndarray:
    """Class numbers that became floats only to carry NaN for the rows now gone."""
    whole = leaf.ndim == 1 and leaf.dtype.kind == "f" and bool((leaf == np.round(leaf)).all())
    return leaf.astype(np.int64) if whole else leaf
