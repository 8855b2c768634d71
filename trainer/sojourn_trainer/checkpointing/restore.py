"""Puts a committed checkpoint back into a model, also with another number of replicas than it was saved with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sojourn.api.policy import RestoreVariables
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.errors import InvalidInput
from sojourn_trainer.checkpointing.selection import Form, Selection, by_patterns, require_matches, select
from sojourn_trainer.state.layout import replica_name
from sojourn_trainer.state.variables import Merge, StateVariable


def restore_state(
    state: Sequence[StateVariable], reader: CheckpointReader, first_replica: int, replicas: int
) -> Selection:
    """Assign every variable its saved value; only metrics and seeds may lack in the checkpoint.

    Args:
        state: this worker's variables.
        reader: the checkpoint; every chunk that is read is verified.
        first_replica: number of this worker's first replica.
        replicas: model replicas of this attempt over all workers.

    Raises:
        InvalidInput: a weight or optimizer variable is missing or has another form: the task has changed. Nothing has
            been assigned.
        CorruptData: the stored bytes are damaged.
    """
    found = select(_here(state), _saved(reader), lambda _: True, lambda name: name.startswith(("metrics/", "random/")))
    if found.problems:
        raise InvalidInput(
            f"the checkpoint at step {reader.manifest.meta.step} does not fit the model: {found.problems}",
            hint="The task builds another model than the one that was saved; start a new run with --new, or take part "
            "of the checkpoint with spec.restoreFrom.variables.",
        )
    _assign(state, found, reader, first_replica, replicas)
    return found


def restore_part(
    state: Sequence[StateVariable],
    reader: CheckpointReader,
    variables: RestoreVariables,
    first_replica: int,
    replicas: int,
) -> Selection:
    """Assign the variables that the manifest selects their saved values; the others stay as they are.

    Raises:
        InvalidInput: a selected variable is missing in the checkpoint or has another form, or a pattern matches
            nothing. Nothing has been assigned.
        CorruptData: the stored bytes are damaged.
    """
    here, saved = _here(state), _saved(reader)
    require_matches([*variables.include, *variables.exclude], [*here, *(name for name in saved if name not in here)])
    found = select(here, saved, by_patterns(variables.include, variables.exclude), lambda _: False)
    if found.problems:
        raise InvalidInput(
            f"the checkpoint at step {reader.manifest.meta.step} does not have what is to be taken: {found.problems}",
            hint="Leave them out by spec.restoreFrom.variables.exclude, or give the layers the names that they have "
            "in the checkpoint.",
        )
    _assign(state, found, reader, first_replica, replicas)
    return found


def _here(state: Sequence[StateVariable]) -> dict[str, Form]:
    return {v.name: Form(tuple(v.components[0].shape.as_list()), v.dtype.name) for v in state}


def _saved(reader: CheckpointReader) -> dict[str, Form]:
    """The run's variables in a checkpoint; what else is there (data position, callbacks) is none."""
    entries = {name: reader.entry(name) for name in reader.names() if name.startswith(_VARIABLES)}
    return {name: Form(tuple(entry.shape), entry.dtype) for name, entry in entries.items()}


_VARIABLES = ("model/", "optimizer/", "metrics/", "random/")


def _assign(
    state: Sequence[StateVariable], found: Selection, reader: CheckpointReader, first_replica: int, replicas: int
) -> None:
    taken = set(found.taken)
    saved_replicas = reader.manifest.meta.replicas
    for variable in state:
        if variable.name not in taken:
            continue
        if variable.merge is None:
            value = reader.tensor(variable.name)
            for component in variable.components:
                component.assign(value)
        else:
            values = [
                reader.tensor(name)
                for name in (replica_name(variable.name, r) for r in range(saved_replicas))
                if name in reader
            ]
            for local, component in enumerate(variable.components):
                component.assign(_for_replica(values, variable.merge, first_replica + local, replicas))


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
