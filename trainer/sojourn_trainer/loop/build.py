"""Makes a model ready to train: compiled as the manifest says, built, with every variable in place."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src import backend
from keras.src.random import seed_generator
from keras.src.trainers.compile_utils import CompileMetrics

from sojourn.api.training import Optimizer as OptimizerSpec
from sojourn.api.training import Training
from sojourn.errors import InvalidInput
from sojourn_trainer.data.source import Arrays, map_leaves


def prepare(model: keras.Model, training: Training, batch: Arrays, *, masked: bool) -> None:
    """Compile (where the manifest says how) and build the model, its losses, metrics and optimizers.

    Call it in the strategy's scope.

    Args:
        batch: arrays as one replica gets them; only shapes and dtypes are used.
        masked: batches may hold padding: all compiled metrics then take sample weights.

    Raises:
        InvalidInput: neither the task nor the manifest says how to compile, or a name is unknown to Keras.
    """
    seed_generator.global_seed_generator()
    _compile(model, training)
    if masked and model._compile_metrics is not None:
        _weight_all_metrics(model)
    symbols = map_leaves(lambda leaf: backend.KerasTensor(leaf.shape, np.asarray(leaf).dtype.name), batch)
    model._symbolic_build(data_batch=symbols)
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _compile(model: keras.Model, training: Training) -> None:
    named = training.optimizer or training.loss or training.metrics
    if not named:
        if not model.compiled:
            raise InvalidInput(
                "the task returned a model that is not compiled, and the manifest names no loss and no optimizer",
                hint="Call model.compile(...) in the task, or set spec.training.optimizer and spec.training.loss.",
            )
        return
    if training.optimizer is not None and training.loss is None and not training.metrics and model.compiled:
        _replace_optimizer(model, optimizer(training.optimizer))
        return
    if training.optimizer is None or training.loss is None:
        raise InvalidInput(
            "spec.training names only some of optimizer, loss and metrics",
            hint="Name both optimizer and loss (and metrics where wanted), or none of them and compile in the task; "
            "the optimizer alone replaces that of a model that the task has compiled.",
        )
    model.compile(
        optimizer=optimizer(training.optimizer),
        loss=_keras_object(keras.losses, training.loss, "spec.training.loss"),
        metrics=list(training.metrics),
    )


def optimizer(spec: OptimizerSpec) -> keras.optimizers.Optimizer:
    """The Keras optimizer that a manifest names, with its schedule.

    Raises:
        InvalidInput: Keras does not know it, its schedule, or one of the arguments.
    """
    field = "spec.training.optimizer"
    if spec.schedule is None:
        return _keras_object(keras.optimizers, spec, field)
    kind = getattr(keras.optimizers.schedules, spec.schedule.name, None)
    if not isinstance(kind, type):
        raise InvalidInput(f"{field}.schedule.name: Keras knows no schedule {spec.schedule.name!r}")
    try:
        schedule = kind(**spec.schedule.args)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{field}.schedule.args: {error}") from error
    return _keras_object(keras.optimizers, spec, field, learning_rate=schedule)


def _replace_optimizer(model: keras.Model, new: keras.optimizers.Optimizer) -> None:
    """What `compile` would do about the optimizer alone; it cannot be asked to leave loss and metrics as they are."""
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.optimizer = keras.optimizers.LossScaleOptimizer(new, name="loss_scale_optimizer") if scaled else new


def _keras_object(registry: Any, named: Any, field: str, **more: Any) -> Any:
    try:
        found = registry.get(named.name)
    except ValueError as error:
        raise InvalidInput(f"{field}.name: Keras knows no {named.name!r}") from error
    arguments = {**named.args, **more}
    if not arguments:
        return found
    kind = found if isinstance(found, type) else type(found)
    by_name = getattr(registry, named.name, kind)
    try:
        return by_name(**arguments) if isinstance(by_name, type) else kind(**arguments)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{field}.args: {error}") from error


def _weight_all_metrics(model: keras.Model) -> None:
    """Unweighted metrics would count padding; a compiled metric set that is all weighted does not."""
    old = model._compile_metrics
    if not old._user_metrics:
        return
    if isinstance(old._user_metrics, dict) or isinstance(old._user_weighted_metrics, dict):
        weighted: Any = {**(old._user_metrics or {}), **(old._user_weighted_metrics or {})}
    else:
        weighted = [*(old._user_metrics or []), *(old._user_weighted_metrics or [])]
    model._compile_metrics = CompileMetrics(None, weighted, output_names=old.output_names)


def set_up_runtime(training: Training) -> None:
    """Seeds, threads and determinism of this process; must run before any TensorFlow operation."""
    keras.utils.set_random_seed(training.seed)
    tf.config.threading.set_intra_op_parallelism_threads(training.threads.intra_op)
    tf.config.threading.set_inter_op_parallelism_threads(training.threads.inter_op)
    if training.mode == "Exact":
        tf.config.experimental.enable_op_determinism()
