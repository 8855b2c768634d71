"""Puts a committed checkpoint back into a model, also with another number of replicas than it was saved with.

First names and forms are compared, then all that is needed is read and verified, then it is assigned: whatever goes
wrong before the last of these leaves the model as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from sojourn.api.policy import RestoreVariables
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.errors import InvalidInput
from sojourn_trainer.checkpointing.host_buffers import host_buffer
from sojourn_trainer.checkpointing.selection import Form, Selection, by_patterns, require_matches, select
from sojourn_trainer.checkpointing.snapshot import as_bytes
from sojourn_trainer.checkpointing.sources import Replicas, Source, sources
from sojourn_trainer.state.variables import Merge, StateVariable


@dataclass(frozen=True)
class Restored:
    """What a restore has done: `found` says which variables it took, `others` are tensors that are no variables."""

    found: Selection
    others: dict[str, np.ndarray]


def restore_state(
    state: Sequence[StateVariable],
    reader: CheckpointReader,
    first_replica: int,
    replicas: int,
    also: Sequence[str] = (),
) -> Restored:
    """Assign every variable its saved value; only metrics and seeds may lack in the checkpoint.

    Args:
        state: this worker's variables.
        reader: the checkpoint; every chunk that is read is verified.
        first_replica: number of this worker's first replica.
        replicas: model replicas of this attempt over all workers.
        also: prefixes of tensors that are read and verified with the variables, and returned.

    Raises:
        InvalidInput: a weight or optimizer variable is missing or has another form: the task has changed.
        CorruptData: the stored bytes are damaged.
        StoreError: the store cannot be read. Whichever it is, nothing has been assigned.
    """
    found = select(_here(state), _saved(reader), lambda _: True, lambda name: name.startswith(("metrics/", "random/")))
    plan = _Plan.of(state, found, reader, first_replica, replicas)
    if plan.found.problems:
        raise InvalidInput(
            f"the checkpoint at step {reader.manifest.meta.step} does not fit the model: {plan.found.problems}",
            hint="The task builds another model than the one that was saved; start a new run with --new, or take part "
            "of the checkpoint with spec.restoreFrom.variables.",
        )
    others = _read_and_assign(plan, reader, [name for name in reader.names() if name.startswith(tuple(also))])
    return Restored(plan.found, others)


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
            nothing.
        CorruptData: the stored bytes are damaged.
        StoreError: the store cannot be read. Whichever it is, nothing has been assigned.
    """
    here, saved = _here(state), _saved(reader)
    require_matches([*variables.include, *variables.exclude], [*here, *(name for name in saved if name not in here)])
    found = select(here, saved, by_patterns(variables.include, variables.exclude), lambda _: False)
    plan = _Plan.of(state, found, reader, first_replica, replicas)
    if plan.found.problems:
        raise InvalidInput(
            f"the checkpoint at step {reader.manifest.meta.step} does not have what is to be taken: "
            f"{plan.found.problems}",
            hint="Leave them out by spec.restoreFrom.variables.exclude, or give the layers the names that they have "
            "in the checkpoint.",
        )
    _read_and_assign(plan, reader, ())
    return plan.found


def _here(state: Sequence[StateVariable]) -> dict[str, Form]:
    return {v.name: Form(tuple(v.components[0].shape.as_list()), v.dtype.name) for v in state}


def _saved(reader: CheckpointReader) -> dict[str, Form]:
    """The run's variables in a checkpoint; what else is there (data position, callbacks) is none."""
    return {name: _form(reader, name) for name in reader.names() if name.startswith(_VARIABLES)}


def _form(reader: CheckpointReader, name: str) -> Form:
    entry = reader.entry(name)
    return Form(tuple(entry.shape), entry.dtype)


_VARIABLES = ("model/", "optimizer/", "metrics/", "random/")


@dataclass(frozen=True)
class _Plan:
    """What fits, and where each taken variable's value comes from."""

    found: Selection
    steps: tuple[tuple[StateVariable, Source], ...]

    @classmethod
    def of(
        cls, state: Sequence[StateVariable], found: Selection, reader: CheckpointReader, first: int, total: int
    ) -> _Plan:
        taken = set(found.taken)
        steps = []
        for variable in state:
            if variable.name in taken:
                replicas = Replicas(first, len(variable.components), total, reader.manifest.meta.replicas)
                steps += [(variable, s) for s in sources(variable.name, variable.merge, replicas, reader.__contains__)]
        # A replica's copy has the form of the first one's in all that is ever written; what does not is no copy.
        forms = _here(state)
        odd = {
            name: (name, _form(reader, name), forms[variable.name])
            for variable, source in steps
            for name in source.names
            if _form(reader, name) != forms[variable.name]
        }
        return cls(replace(found, mismatched=(*found.mismatched, *odd.values())), tuple(steps))


def _read_and_assign(plan: _Plan, reader: CheckpointReader, others: Sequence[str]) -> dict[str, np.ndarray]:
    """Read all that the plan needs, and `others`; then assign. Returns the others."""
    forms = {name: variable.dtype for variable, source in plan.steps for name in source.names}
    tensors: dict[str, tf.Tensor] = {}
    targets: dict[str, memoryview] = {}
    for name, dtype in forms.items():
        tensors[name], targets[name] = host_buffer(dtype, tuple(reader.entry(name).shape))
    raw = {name: np.empty(reader.entry(name).length, np.uint8) for name in others}
    reader.fill({**targets, **{name: array.data for name, array in raw.items()}})
    targets.clear()
    last_use = {name: number for number, (_, source) in enumerate(plan.steps) for name in source.names}
    for number, (variable, source) in enumerate(plan.steps):
        value = _value(variable, source, [tensors[name] for name in source.names])
        for name in source.names:
            if last_use[name] == number:
                # A variable takes over its memory only if nobody else holds it.
                del tensors[name]
        for local, component in enumerate(variable.components):
            if source.component is None or source.component == local:
                component.assign(value)
    return {name: reader.shaped(name, array) for name, array in raw.items()}


def _value(variable: StateVariable, source: Source, saved: list[tf.Tensor]) -> tf.Tensor | np.ndarray:
    if not saved:
        return np.zeros(variable.components[0].shape.as_list(), variable.dtype.as_numpy_dtype)
    if len(saved) == 1:
        return saved[0]
    kind = variable.dtype.as_numpy_dtype
    stacked = np.stack([as_bytes(tensor).view(kind).reshape(tensor.shape) for tensor in saved])
    if source.merge is Merge.SUM:
        return np.sum(stacked, axis=0, dtype=kind)
    return np.mean(stacked.astype(np.float64), axis=0).astype(kind)


def dropped(found: Selection) -> Iterable[str]:
    """Weights and optimizer variables of the checkpoint for which the model has no variable."""
    return (name for name in found.extra if name.startswith(("model/", "optimizer/")))
