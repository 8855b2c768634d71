"""The process that builds an export's files. It is told by a JSON file and answers with one; see build.py."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sojourn.checkpoint.reader import CheckpointReader
from sojourn.errors import NotFound, SojournError
from sojourn.runlog.log import RunLog
from sojourn.store.open import open_store
from sojourn_serving.export.formats import FILES, Format
from sojourn_serving.export.interface import Arrays, Inputs, golden_inputs, inputs_of, name_outputs, stored_dtype
from sojourn_serving.export.preparation import with_preparation
from sojourn_serving.export.rebuild import build_model, load_job, restore
from sojourn_serving.export.record import GOLDEN_FILE, ModelRecord, Tensor

GOLDEN_ROWS = 16


def main(arguments: list[str]) -> int:
    """Arguments: the request's file and the answer's."""
    request = json.loads(Path(arguments[0]).read_text())
    try:
        answer: dict[str, Any] = {"model": build(request).to_json()}
    except SojournError as error:
        answer = {"error": {"message": error.message, "hint": error.hint, "code": error.exit_code}}
    Path(arguments[1]).write_text(json.dumps(answer))
    return 0


def build(request: dict[str, Any]) -> ModelRecord:
    """Rebuild the model, and write the formats and the golden file into the request's folder.

    Raises:
        SojournError: the checkpoint cannot be read, the task builds another model, or a format cannot hold it.
    """
    folder = Path(request["folder"])
    formats = [Format(value) for value in request["formats"]]
    log = RunLog.open(open_store(request["store"]), request["prefix"])
    commit = next((c for c in log.state.commits if c.manifest == request["commit"]), None)
    if commit is None:
        raise NotFound(f"the checkpoint {request['commit']} of {request['prefix']} is gone")
    job = load_job(log, Path(request["cache"]))
    model = build_model(job)
    inputs = inputs_of(model, job.golden)
    golden = golden_inputs(inputs, job.golden, GOLDEN_ROWS)
    if not model.built or not model.variables:
        _call_symbolically(model, inputs)
    restore(model, CheckpointReader(log.store, log.prefix, commit))
    if job.preparation is not None:
        model = with_preparation(model, inputs, job.preparation)

    outputs = answer_golden(model, inputs, golden)
    _write_formats(model, inputs, formats, folder)
    stored = {f"inputs/{name}": array for name, array in golden.items()}
    stored |= {f"outputs/{name}": array for name, (array, _) in outputs.items()}
    np.savez(folder / GOLDEN_FILE, **stored)  # type: ignore[arg-type]  # the stubs take any keyword for allow_pickle
    return ModelRecord(
        inputs=inputs.tensors,
        outputs=tuple(tensor for _, tensor in outputs.values()),
        input_form=inputs.form,
        parameters=sum(int(np.prod(weight.shape)) for weight in model.weights),
        golden_rows=len(next(iter(golden.values()))),
        golden_source="Recorded" if job.golden else "MadeUp",
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("keras", "numpy", "sojourn")},
            "tensorflow": _tensorflow_version(),
        },
    )


def _tensorflow_version() -> str:
    import tensorflow as tf

    return str(tf.__version__)


def _call_symbolically(model: Any, inputs: Inputs) -> None:
    """Build a model that declares no inputs, with an open batch axis."""
    import keras

    model(inputs.pack([keras.KerasTensor(tensor.shape, tensor.dtype) for tensor in inputs.tensors]))


def answer_golden(model: Any, inputs: Inputs, golden: Arrays) -> dict[str, tuple[np.ndarray, Tensor]]:
    """The model's outputs for the golden inputs, as stored and as described (with an open batch axis)."""
    import tensorflow as tf

    values = [tf.cast(golden[t.name], t.dtype) if t.dtype == "bfloat16" else golden[t.name] for t in inputs.tensors]
    tensors = [tf.convert_to_tensor(value) for value in values]
    rows = len(next(iter(golden.values())))
    found = {}
    for name, tensor in name_outputs(model, model(inputs.pack(tensors), training=False)).items():
        array = tensor.numpy()
        kept = array.astype("S") if array.dtype == object else array.astype(stored_dtype(tensor.dtype.name))
        open_batch = inputs.tensors[0].shape is None or inputs.tensors[0].shape[:1] == (None,)
        shape = (None, *array.shape[1:]) if open_batch and array.shape[:1] == (rows,) else array.shape
        found[name] = (kept, Tensor(name, tensor.dtype.name, shape))
    return found


def _write_formats(model: Any, inputs: Inputs, formats: list[Format], folder: Path) -> None:
    from sojourn_serving.export.keras_files import refuse_custom, write_keras_file
    from sojourn_serving.export.savedmodel import write_saved_model

    files = [FILES[item] for item in formats if item in FILES]
    if files:
        refuse_custom(model, files)
    if Format.SAVED_MODEL in formats:
        write_saved_model(model, inputs, folder)
    for file in files:
        write_keras_file(model, folder / file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
