"""Keeps a few of the run's inputs beside its job: exports record what the model answers to them."""

from __future__ import annotations

import io
from dataclasses import fields

import numpy as np

from sojourn.store.base import KeyMissing
from sojourn_trainer.data.prepare import Preparation, Steps
from sojourn_trainer.data.source import Arrays, Data, Source, leaves, take
from sojourn_trainer.loop.session import Session

_ROWS = 16


def keep_golden_inputs(session: Session, data: Data | None) -> None:
    """Write `golden.npz` to the job's folder, once: arrays x0, x1, ... or, for dict inputs, by their names.

    They are rows as they were before they were prepared; beside them is `preparation.npz`, if they were.
    """
    if data is None:
        return
    folder = f"{session.assignment.run.prefix}/{session.assignment.job_folder}"
    try:
        session.store.stat(f"{folder}/golden.npz")
    except KeyMissing:
        if data.preparation is not None:
            session.store.put(f"{folder}/preparation.npz", _packed(named_steps(data.preparation)))
        source = data.unprepared or data.validation or data.train
        session.store.put(f"{folder}/golden.npz", _packed(named_inputs(source)))


def named_inputs(source: Source) -> dict[str, np.ndarray]:
    """The model inputs of the first rows of a source."""
    rows = take(source, _ROWS)
    return {name: np.asarray(leaf) for name, leaf in _named(rows[0] if isinstance(rows, tuple) else rows).items()}


def named_steps(preparation: Preparation) -> dict[str, np.ndarray]:
    """What is done to each of these inputs: `<input>/<step>`, each of the shape of one row."""
    return {
        f"{name}/{step.name}": np.asarray(array)
        for name, steps in _named(preparation.steps).items()
        for step in fields(Steps)
        if (array := getattr(steps, step.name)) is not None
    }


def _named(x: Arrays) -> Arrays:
    return x if isinstance(x, dict) else {f"x{i}": leaf for i, leaf in enumerate(leaves(x))}


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
