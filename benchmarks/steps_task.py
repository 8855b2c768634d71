"""What both loops of benchmarks/steps.py train, and the plain loop: the same model, step function and data.

Rank 0 waits at a gate before every round, so that one side runs while the others sleep; the other rank then waits in
the step's all-reduce.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sojourn.api.training import Training
from sojourn_trainer.data.distribute import distribute
from sojourn_trainer.data.pipeline import Feed
from sojourn_trainer.data.position import EpochPlan, Position
from sojourn_trainer.data.source import ArraySource
from sojourn_trainer.loop.build import prepare, set_up_runtime
from sojourn_trainer.task import Task
from sojourn_trainer.tasks import cnn

SIZE = 16


class Rounds(keras.callbacks.Callback):
    """Times the steps of each round after its warm-up, and sends them to the gate.

    Args:
        gate: the benchmark's socket.
        warm_up: steps of a round that are not timed.
        timed: steps of a round that are.
    """

    def __init__(self, gate: str, warm_up: int, timed: int) -> None:
        super().__init__()
        self._rank = int(json.loads(os.environ["TF_CONFIG"])["task"]["index"])
        self._gate = Client(gate, "AF_UNIX") if self._rank == 0 else None
        self._warm_up, self._timed = warm_up, timed
        self._clock = [0.0]
        self._between = 0.0
        self._step = 0

    def get_state(self) -> None:
        """Nothing of it belongs to the run."""

    def set_state(self, state: None) -> None:
        return

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._step == 0:
            pin(self._rank)
            if self._gate is not None:
                self._gate.send(time.perf_counter() - self._between if self._between else 0.0)
                self._gate.recv()
            self._clock = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step += 1
        if self._step >= self._warm_up:
            self._clock.append(time.perf_counter())
        if self._step == self._warm_up + self._timed:
            self._step = 0
            self._between = time.perf_counter()
            if self._gate is not None:
                self._gate.send(np.diff(self._clock).tolist())


def pin(rank: int) -> None:
    """Keep all threads of this process on one core: worker i on core i."""
    cores = sorted(os.sched_getaffinity(0))
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # some threads end while this looks at them
            os.sched_setaffinity(int(thread.name), {cores[rank % len(cores)]})


def build(gate: str, warm_up: int, timed: int, batch: int, filters: int) -> Task:
    """The small convolutional network on random images; an epoch is as long as a round."""
    return task_on_noise(batch * (warm_up + timed), filters, Rounds(gate, warm_up, timed))


def task_on_noise(rows: int, filters: int, watcher: keras.callbacks.Callback) -> Task:
    """The network on `rows` images of float32 [16, 16]."""
    task = cnn.build(filters=filters, size=SIZE)
    rng = np.random.default_rng(0)
    arrays = (rng.random((rows, SIZE, SIZE), np.float32), rng.integers(0, 10, rows))
    return Task(task.model, ArraySource(arrays), [watcher], task.train_step)


def train_plainly(settings: Mapping[str, Any], build: Callable[..., Task] = build) -> None:
    """The loop that a script has under MultiWorkerMirroredStrategy: it reads its loss at every step.

    Args:
        settings: "mode", "steps" and "task", the arguments of `build`.
        build: makes the task; its first callback hears of every step.
    """
    arguments, steps = settings["task"], settings["steps"]
    training = Training.model_validate(
        {"globalBatchSize": arguments["batch"], "steps": steps, "seed": 7, "mode": settings["mode"]}
    )
    set_up_runtime(training)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        task = build(**arguments)
        source, watcher = task.data, task.callbacks[0]
        assert isinstance(source, ArraySource)
        plan = EpochPlan(len(source), arguments["batch"], replicas)
        batch = source.fetch(np.zeros(plan.replica_batch, np.int64))
        prepare(task.model, training, batch, masked=False)
    iterator = iter(
        distribute(
            strategy,
            lambda feed: feed.train(Position()),
            lambda first, local: Feed(source, plan, training.seed, first, local),
        )
    )

    @tf.function(reduce_retracing=True)
    def train_step(iterator: Any) -> tf.Tensor:
        arrays, _ = next(iterator)
        logs = strategy.run(lambda arrays: cnn.train_step(task.model, arrays), args=(arrays,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, logs["loss"], axis=None) / replicas

    for step in range(steps):
        watcher.on_train_batch_begin(step)
        loss = float(train_step(iterator))
        watcher.on_train_batch_end(step)
    assert np.isfinite(loss)


if __name__ == "__main__":
    train_plainly(json.loads(sys.argv[1]))
