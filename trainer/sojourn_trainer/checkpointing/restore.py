"""Puts a committed checkpoint back into a model, also with another number of replicas than it was saved with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sojourn.checkpoint.reader import CheckpointReader
from sojourn.errors import InvalidInput
from sojourn_trainer.state.layout import replica_name
from sojourn_trainer.state.variables import Merge, StateVariable


def restore_state(
    state: Sequence[StateVariable], reader: CheckpointReader, first_replica: int, replicas: int
) -> list[str]:
    """Assign every variable its saved value.

    Args:
        state: this worker's variables.
        reader: the checkpoint; every chunk that is read is verified.
        first_replica: number of this worker's first replica.
        replicas: model replicas of this attempt over all workers.

    Returns:
        Names that the checkpoint lacks and that keep their fresh values (only metrics may lack).

    Raises:
        InvalidInput: a weight or optimizer variable is missing or has another shape: the task has changed.
        CorruptData: the stored bytes are damaged.
    """
    saved_replicas = reader.manifest.meta.replicas
    missing: list[str] = []
    for variable in state:
        if variable.name not in reader:
            if not variable.name.startswith(("metrics/", "random/")):
                raise InvalidInput(
                    f"the checkpoint at step {reader.manifest.meta.step} has no variable {variable.name!r}",
                    hint="The task builds another model than the one that was saved; start a new run with --new.",
                )
            missing.append(variable.name)
            continue
        if variable.merge is None:
            value = _read(reader, variable.name, variable)
            for component in variable.components:
                component.assign(value)
        else:
            values = [
                _read(reader, name, variable)
                for name in (replica_name(variable.name, r) for r in range(saved_replicas))
                if name in reader
            ]
            for local, component in enumerate(variable.components):
                component.assign(_for_replica(values, variable.merge, first_replica + local, replicas))
    return missing


def _read(reader: CheckpointReader, name: str, variable: StateVariable) -> np.ndarray:
    value = reader.tensor(name)
    expected = tuple(variable.components[0].shape.as_list())
    if value.shape != expected:
        raise InvalidInput(
            f"variable {variable.name!r} has shape {list(value.shape)} in the checkpoint and {list(expected)} here",
            hint="The task builds another model than the one that was saved; start a new run with --new.",
        )
    return value


def _for_replica(values: Sequence[np.ndarray], merge: Merge, replica: int, replicas: int) -> np.ndarray:
    if len(values) == replicas:
        return values[replica]
    if merge is Merge.SUM:
        total = np.sum(np.stack(values), axis=0, dtype=values[0].dtype)
        return total if replica == 0 else np.zeros_like(total)
    if merge is Merge.MEAN and len(values) > 1:
        return np.mean(np.stack(values).astype(np.float64), axis=0).astype(values[0].dtype)
    return values[0]


def read_prefixed(reader: CheckpointReader, prefix: str) -> dict[str, np.ndarray]:
    """All tensors whose names start with `prefix`."""
    return reader.read(name for name in reader.names() if name.startswith(prefix))
