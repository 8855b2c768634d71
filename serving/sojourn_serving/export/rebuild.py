"""The model of a checkpoint: built by the run's own task, filled with the committed variables."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sojourn.checkpoint.reader import CheckpointReader
from sojourn.errors import InvalidInput, NotFound
from sojourn.runlog.log import RunLog
from sojourn.store.base import KeyMissing, Store
from sojourn.task import archive
from sojourn.task.capture import capture
from sojourn.task.entrypoint import call
from sojourn_serving.export.preparation import by_input

_PREFIX = "model/"


@dataclass(frozen=True, slots=True)
class Job:
    """What a run keeps of its job: the task's entrypoint, arguments and code, and golden inputs if it has any.

    `preparation` is what `spec.data` does to the golden inputs before the model gets them, or None where it does
    nothing.
    """

    entrypoint: str
    args: dict[str, Any]
    code: Path | None
    golden: dict[str, np.ndarray] | None
    preparation: dict[str, dict[str, np.ndarray]] | None = None


def load_job(log: RunLog, cache: Path) -> Job:
    """Read the run's job folder; the code is unpacked below `cache`.

    Raises:
        NotFound: the run keeps no job.
    """
    store, folder = log.store, f"{log.prefix}/job/{log.state.created.job_digest.removeprefix('blake3:')}"
    try:
        task = json.loads(store.read(f"{folder}/job.json"))["spec"]["task"]
    except KeyMissing as error:
        raise NotFound(
            f"the run {log.state.name} does not keep its job ({folder}/job.json)",
            hint="Only a run started by `sojourn run` or a TrainingJob can be exported.",
        ) from error
    digest = (task.get("code") or {}).get("archive", {}).get("digest")
    code = archive.unpack(store.read(f"{folder}/code.tar"), digest, cache) if digest else None
    golden = _arrays(store, f"{folder}/golden.npz")
    preparation = _arrays(store, f"{folder}/preparation.npz")
    return Job(
        task["entrypoint"], task.get("args") or {}, code, golden, None if preparation is None else by_input(preparation)
    )


def _arrays(store: Store, key: str) -> dict[str, np.ndarray] | None:
    try:
        with np.load(io.BytesIO(store.read(key)), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except KeyMissing:
        return None


def build_model(job: Job) -> Any:
    """Call the task and take its model: returned, or handed to `fit` by a script.

    Raises:
        InvalidInput: the task gives no Keras model.
    """
    import keras

    with capture() as box:
        result = call(job.entrypoint, job.args, job.code)
    if box.filled:
        return box.model
    first = result[0] if isinstance(result, tuple) and result else result
    model = getattr(first, "model", first)
    if not isinstance(model, keras.Model):
        raise InvalidInput(
            f"the task {job.entrypoint} gives a {type(result).__name__}, not a Keras model",
            hint="Return a model or a sojourn_trainer.Task, or call sojourn_trainer.fit(model, data).",
        )
    return model


def restore(model: Any, reader: CheckpointReader) -> None:
    """Assign every variable of the built model its committed value; statistics kept per replica are averaged.

    Raises:
        InvalidInput: the checkpoint lacks a variable, or has it with another shape.
        CorruptData: stored bytes do not match their digests.
    """
    names: set[str] = set()
    for variable in model.variables:
        name = _unique(f"{_PREFIX}{variable.path}", names)
        if name not in reader:
            raise InvalidInput(
                f"the checkpoint has no variable {name!r}",
                hint="The task builds another model than the one that was trained: has its code changed?",
            )
        value = _merged(reader, name)
        if value.shape != tuple(variable.shape):
            raise InvalidInput(
                f"variable {name!r} has shape {list(value.shape)} in the checkpoint,"
                f" {list(variable.shape)} in the model"
            )
        variable.assign(value)


def _unique(name: str, names: set[str]) -> str:
    """As the trainer names a second variable of the same path."""
    candidate, number = name, 0
    while candidate in names:
        number += 1
        candidate = f"{name}_{number}"
    names.add(candidate)
    return candidate


def _merged(reader: CheckpointReader, name: str) -> np.ndarray:
    value = reader.tensor(name)
    others = [f"replica_{r}/{name}" for r in range(1, reader.manifest.meta.replicas)]
    copies = [reader.tensor(other) for other in others if other in reader]
    if not copies or value.dtype.kind in "iub":
        return value
    return np.mean(np.stack([value, *copies]).astype(np.float64), axis=0).astype(value.dtype)
