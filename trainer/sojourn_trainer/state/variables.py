"""Every variable that a run consists of, under a stable name.

`tf.train.Checkpoint(model=model)` leaves out dropout seeds and metrics, so the state is listed explicitly: model
(seed generators included), optimizers, metrics, and Keras' global seed generator. Names follow Keras' variable paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import keras
import tensorflow as tf
from keras.src.random import seed_generator


class Merge(Enum):
    """What becomes of a variable that differs between replicas when their number changes."""

    MEAN = "mean"  # e.g. moving statistics of BatchNormalization
    SUM = "sum"  # metric accumulators: the total moves to replica 0
    FIRST = "first"  # integers, such as seed generators, which are equal everywhere


@dataclass(frozen=True)
class StateVariable:
    """One variable of the run.

    Attributes:
        name: "model/<path>", "optimizer/<path>", "metrics/<i>/<path>" or "random/<path>", unique in the run.
        components: this worker's copies, one per local replica.
        merge: None for state that is the same on all replicas, else the rule for another number of replicas; with one
            replica too, because the checkpoint may come from more.
        weight: whether it is a weight of the model (its values must stay finite).
    """

    name: str
    components: tuple[tf.Variable, ...]
    merge: Merge | None
    weight: bool

    @property
    def dtype(self) -> tf.DType:
        return self.components[0].dtype

    @property
    def nbytes(self) -> int:
        return int(self.components[0].shape.num_elements()) * int(self.dtype.size)


def list_state(model: keras.Model, strategy: tf.distribute.Strategy) -> list[StateVariable]:
    """All variables of a built, compiled model, in an order that is the same on every worker."""
    created_trainable = {id(v) for layer in model._flatten_layers() for v in getattr(layer, "_trainable_variables", ())}
    found: list[StateVariable] = []
    names: set[str] = set()
    for prefix, variable in _named(model):
        name = _unique(f"{prefix}/{variable.path}", names)
        components = tuple(strategy.experimental_local_results(variable.value))
        differs = _differs(prefix, variable, created_trainable)
        found.append(
            StateVariable(
                name=name,
                components=components,
                merge=_merge_rule(variable) if differs else None,
                weight=prefix == "model" and variable.value.dtype.is_floating,
            )
        )
    return found


def _named(model: keras.Model) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()

    def fresh(variables: Iterable[Any]) -> Iterator[Any]:
        for variable in variables:
            if id(variable) not in seen:
                seen.add(id(variable))
                yield variable

    for variable in fresh(model.variables):
        yield "model", variable
    for prefix, optimizer in _optimizers(model):
        for variable in fresh(optimizer.variables):
            yield prefix, variable
    for index, metric in enumerate(model.metrics):
        for variable in fresh(metric.variables):
            yield f"metrics/{index}", variable
    for variable in fresh([seed_generator.global_seed_generator().state]):
        yield "random", variable


def _optimizers(model: keras.Model) -> Iterator[tuple[str, Any]]:
    if model.optimizer is not None:
        yield "optimizer", model.optimizer
    for attribute, value in vars(model).items():
        if isinstance(value, keras.optimizers.Optimizer) and value is not model.optimizer:
            yield f"optimizer/{attribute.lstrip('_')}", value


def _differs(prefix: str, variable: Any, created_trainable: set[int]) -> bool:
    if variable.value.synchronization == tf.VariableSynchronization.ON_READ:
        return True
    return (
        prefix == "model"
        and id(variable) not in created_trainable
        and variable.value.aggregation == tf.VariableAggregation.NONE
    )


def _merge_rule(variable: Any) -> Merge:
    if variable.value.aggregation == tf.VariableAggregation.SUM:
        return Merge.SUM
    return Merge.MEAN if variable.value.dtype.is_floating else Merge.FIRST


def _unique(name: str, names: set[str]) -> str:
    candidate, number = name, 0
    while candidate in names:
        number += 1
        candidate = f"{name}_{number}"
    names.add(candidate)
    return candidate
