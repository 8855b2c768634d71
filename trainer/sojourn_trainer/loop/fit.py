"""`fit`: the call that replaces `model.fit` in an existing Keras script."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sojourn.errors import InvalidInput
from sojourn.task.capture import hand_over
from sojourn_trainer.data.distribute import PipelineInput, SourceInput, TrainingInput
from sojourn_trainer.data.load import load_data
from sojourn_trainer.data.position import EpochPlan
from sojourn_trainer.data.source import ArraySource, Data, Source, map_leaves
from sojourn_trainer.loop.golden import keep_golden_inputs
from sojourn_trainer.loop.session import Session, current
from sojourn_trainer.loop.train import TrainingLoop
from sojourn_trainer.task import Task


def fit(model: keras.Model, data: Any = None, **options: Any) -> keras.callbacks.History:
    """Train `model` as the job's manifest says: batch size, epochs, checkpoints and resume are not the script's matter.

    Args:
        model: a Keras model, compiled unless the manifest names loss and optimizer.
        data: see `Task.data`; None takes the manifest's `spec.data`.
        options: the other fields of `Task` (callbacks, train_step, steps_per_epoch).

    Returns:
        Keras' history of the epochs trained by this process.

    Raises:
        InvalidInput: called outside of `sojourn run`, or model and data do not fit the manifest.
    """
    hand_over(model, data=data, **options)
    task = Task(model=model, data=data, **options)
    session = current.get()
    if session is None:
        raise InvalidInput(
            "sojourn_trainer.fit was called outside of a run",
            hint="Start the script with `sojourn run job.yaml`, where job.yaml names it as spec.task.entrypoint.",
        )
    return train(session, task)


def train(session: Session, task: Task) -> keras.callbacks.History:
    """Train a task in this process's session."""
    training = session.job.spec.training
    session.training = True
    data = as_data(task, session)
    with session.strategy.scope():
        feed = training_input(data, task, session)
        if session.rank == 0:
            keep_golden_inputs(session, data if isinstance(data, Data) else None)
        loop = TrainingLoop(session, task, feed, data if isinstance(data, Data) else None)
    # Outside of the scope, in which every call of a compiled step takes longer.
    return loop.run(total_steps(training.epochs, training.steps, feed.steps_per_epoch))


def total_steps(epochs: int | None, steps: int | None, steps_per_epoch: int) -> int:
    """Optimizer steps of the whole run."""
    return steps if steps is not None else (epochs or 1) * steps_per_epoch


def as_data(task: Task, session: Session) -> Any:
    """The task's data, or the manifest's: Data, or a pipeline function."""
    spec = session.job.spec
    given = task.data
    if given is None:
        if spec.data is None:
            raise InvalidInput(
                "neither the task nor the manifest names data", hint="Set spec.data, or return data from the task."
            )
        return load_data(spec.data, spec.training.seed)
    if isinstance(given, Data):
        return given
    if isinstance(given, tuple):
        return Data(ArraySource(map_leaves(np.asarray, given)))
    if isinstance(given, tf.data.Dataset):
        raise InvalidInput(
            "Task.data is a tf.data.Dataset, which cannot be split over workers or resumed as it is",
            hint="Return a function that takes the InputContext and returns this worker's dataset.",
        )
    if isinstance(given, Source):
        return Data(given)
    if callable(given):
        return given
    raise InvalidInput(
        f"Task.data of type {type(given).__name__} is not supported", hint="See docs/guides/write-a-task.md."
    )


def training_input(data: Any, task: Task, session: Session) -> TrainingInput:
    """How this worker gets its batches."""
    training = session.job.spec.training
    replicas = session.strategy.num_replicas_in_sync
    if not isinstance(data, Data):
        context = tf.distribute.InputContext(session.workers, session.rank, replicas)
        return PipelineInput(data, session.strategy, steps_per_epoch=task.steps_per_epoch, context=context)
    try:
        plan = EpochPlan(len(data.train), training.global_batch_size, replicas)
    except ValueError as error:
        raise InvalidInput(str(error), hint="See spec.training.globalBatchSize and spec.data.") from error
    return SourceInput(
        data.train,
        plan,
        session.strategy,
        seed=training.seed if data.shuffle else None,
        prefetch=data.prefetch,
    )
