"""Keeps a few of the run's inputs beside its job: exports record what the model answers to them."""

from __future__ import annotations

import io

import numpy as np

from sojourn.store.base import KeyMissing
from sojourn_trainer.data.source import Source, leaves, take
from sojourn_trainer.loop.session import Session

_ROWS = 16


def keep_golden_inputs(session: Session, source: Source | None) -> None:
    """Write `golden.npz` to the job's folder, once: arrays x0, x1, ... or, for dict inputs, by their names."""
    if source is None:
        return
    key = f"{session.assignment.run.prefix}/{session.assignment.job_folder}/golden.npz"
    try:
        session.store.stat(key)
    except KeyMissing:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **named_inputs(source))
        session.store.put(key, buffer.getvalue())


def named_inputs(source: Source) -> dict[str, np.ndarray]:
    """The model inputs of the first rows of a source."""
    rows = take(source, _ROWS)
    x = rows[0] if isinstance(rows, tuple) else rows
    if isinstance(x, dict):
        return {name: np.asarray(value) for name, value in x.items()}
    return {f"x{i}": np.asarray(leaf) for i, leaf in enumerate(leaves(x))}
