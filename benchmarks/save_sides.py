"""One side of benchmarks/save.py in a process of its own: trains, saves, and prints seconds as one line of JSON.

All sides hold the same state, float32 weights and both of Adam's slots in eight layers, and take the same step over
it: forward and backward through dense layers, and Adam in place.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAYERS = 8
BATCH = 64


def width(megabytes: int) -> int:
    """Of square kernels, three of which (weight and slots) in each layer make up the state."""
    return int((megabytes * 1e6 / (LAYERS * 3 * 4)) ** 0.5)


def run(
    folder: Path,
    steps: int,
    every: int,
    step: Callable[[], None],
    save: Callable[[int], None],
    finish: Callable[[], list[float]],
) -> None:
    """Time steps, each with the save that follows it."""
    for _ in range(3):
        step()
    seconds = []
    for number in range(1, steps + 1):
        begun = time.perf_counter()
        step()
        if number % every == 0:
            save(number)
        seconds.append(time.perf_counter() - begun)
    whole = finish()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"steps": seconds, "whole": whole, "rss": rss}))


class Watch:
    """Seconds from a save's beginning to its end, for saves that end in the background."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._threads: list[threading.Thread] = []

    def end_of(self, begun: float, wait: Callable[[], Any]) -> None:
        def note() -> None:
            wait()
            self.seconds.append(time.perf_counter() - begun)

        self._threads.append(threading.Thread(target=note))
        self._threads[-1].start()

    def finish(self) -> list[float]:
        for thread in self._threads:
            thread.join()
        return self.seconds


def tensorflow_state(megabytes: int) -> tuple[Any, Callable[[], None]]:
    """A tf.Module with the state, and the step over it."""
    import tensorflow as tf

    size = width(megabytes)

    class State(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            shape = (size, size)
            self.weights = [tf.Variable(tf.random.normal(shape, stddev=0.02), name=f"w{i}") for i in range(LAYERS)]
            self.first = [tf.Variable(tf.zeros(shape), name=f"m{i}") for i in range(LAYERS)]
            self.second = [tf.Variable(tf.zeros(shape), name=f"v{i}") for i in range(LAYERS)]

    state = State()
    inputs = tf.random.normal((BATCH, size))

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            x = inputs
            for weight in state.weights:
                x = tf.nn.relu(x @ weight)
            loss = tf.reduce_mean(x * x)
        gradients = tape.gradient(loss, state.weights)
        for weight, first, second, gradient in zip(state.weights, state.first, state.second, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=0.9,
                beta2_power=0.999,
                lr=1e-4,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-7,
                grad=gradient,
            )

    return state, step


def none(folder: Path, megabytes: int, steps: int, every: int) -> None:
    _, step = tensorflow_state(megabytes)
    run(folder, steps, every, step, lambda number: None, list)


def ours(folder: Path, megabytes: int, steps: int, every: int) -> None:
    """The trainer's own snapshot, saver and coordinator, over a run in a directory."""
    from sojourn.api import TrainingJob
    from sojourn.checkpoint.commit import checkpoint_key
    from sojourn.checkpoint.manifest import CheckpointMeta
    from sojourn.runlog.records import Created
    from sojourn.runlog.runs import create_run
    from sojourn.store.posix import PosixStore
    from sojourn_trainer.checkpointing.saver import Saver, SaverSettings, ShardPlace
    from sojourn_trainer.checkpointing.snapshot import SnapshotPool
    from sojourn_trainer.driver.coordinator import Coordinator
    from sojourn_trainer.driver.timing import Clocks
    from sojourn_trainer.state.layout import Slot
    from sojourn_trainer.state.variables import StateVariable
    from sojourn_trainer.workers.assignment import SaveId

    module, step = tensorflow_state(megabytes)
    variables = [*module.weights, *module.first, *module.second]
    state = [StateVariable(f"model/{v.name.partition(':')[0]}", (v,), None, weight=True) for v in variables]
    job = {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "bench"},
        "spec": {"task": {"entrypoint": "bench:task"}, "training": {"globalBatchSize": BATCH, "steps": steps}},
    }
    log = create_run(PosixStore(folder), Created(run_id="00000000-0000-4000-8000-000000000000", name="bench"))
    coordinator = Coordinator(TrainingJob.model_validate(job), log, [], Clocks())
    term = coordinator.begin_attempt("bench", 1, {}).term
    pool = SnapshotPool(state, [Slot(i, 0, variable.name) for i, variable in enumerate(state)])
    saver = Saver(ShardPlace(log.store, log.prefix, 0, 1), pool, coordinator, SaverSettings())
    watch = Watch()

    def save(number: int) -> None:
        begun = time.perf_counter()
        meta = CheckpointMeta(step=number, extra={"metrics": {}})
        saver.save(SaveId(number, term, checkpoint_key(number, term, f"u{number}")), meta, {})
        watch.end_of(begun, saver.wait)

    def finish() -> list[float]:
        found = watch.finish()
        coordinator.close()
        assert log.refresh().commits_made == steps // every
        return found

    run(folder, steps, every, step, save, finish)


def tensorflow(folder: Path, megabytes: int, steps: int, every: int, *, background: bool = False) -> None:
    """CheckpointManager; it calls no fsync, so its checkpoints survive a killed process and no power cut."""
    import tensorflow as tf

    module, step = tensorflow_state(megabytes)
    checkpoint = tf.train.Checkpoint(model=module)
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=3)
    options = tf.train.CheckpointOptions(experimental_enable_async_checkpoint=background)
    took: list[float] = []

    def save(number: int) -> None:
        begun = time.perf_counter()
        manager.save(number, options=options)
        if not background:
            took.append(time.perf_counter() - begun)

    def finish() -> list[float]:
        if background:
            checkpoint.sync()
        return took

    run(folder, steps, every, step, save, finish)


def tensorflow_async(folder: Path, megabytes: int, steps: int, every: int) -> None:
    tensorflow(folder, megabytes, steps, every, background=True)


def keras_backup(folder: Path, megabytes: int, steps: int, every: int) -> None:
    """BackupAndRestore, called as `fit` calls it, over a model of the same layers and Adam."""
    import keras
    import numpy as np
    import tensorflow as tf

    size = width(megabytes)
    dense = [keras.layers.Dense(size, activation="relu", use_bias=False) for _ in range(LAYERS)]
    model = keras.Sequential([keras.layers.Input((size,)), *dense])
    model.compile(keras.optimizers.Adam(1e-4), loss="mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(BATCH, size)).astype(np.float32)
    inputs, targets = tf.constant(x), tf.zeros((BATCH, size))
    model.train_on_batch(inputs, targets)
    callback = keras.callbacks.BackupAndRestore(str(folder / "backup"), save_freq=every, delete_checkpoint=False)
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    took: list[float] = []
    batch = 0

    def step() -> None:
        model.train_on_batch(inputs, targets)

    def save(number: int) -> None:
        nonlocal batch
        begun = time.perf_counter()
        callback._save_model()
        took.append(time.perf_counter() - begun)

    run(folder, steps, every, step, save, lambda: took)


def orbax_async(folder: Path, megabytes: int, steps: int, every: int) -> None:
    """Orbax' AsyncCheckpointer over the same arithmetic in JAX, whose step gives its buffers away and gets new ones."""
    import jax
    import jax.numpy as jnp
    import orbax.checkpoint as ocp

    size = width(megabytes)
    keys = jax.random.split(jax.random.key(0), LAYERS)
    weights = [jax.random.normal(key, (size, size)) * 0.02 for key in keys]
    zeros = [jnp.zeros((size, size)) for _ in range(LAYERS)]
    state = {"w": weights, "m": zeros, "v": [jnp.zeros((size, size)) for _ in range(LAYERS)]}
    inputs = jax.random.normal(jax.random.key(1), (BATCH, size))

    def loss(weights: Any) -> Any:
        x = inputs
        for weight in weights:
            x = jax.nn.relu(x @ weight)
        return jnp.mean(x * x)

    @jax.jit
    def adam(state: Any) -> Any:
        gradients = jax.grad(loss)(state["w"])
        m = [0.9 * m + 0.1 * g for m, g in zip(state["m"], gradients, strict=True)]
        v = [0.999 * v + 0.001 * g * g for v, g in zip(state["v"], gradients, strict=True)]
        rate = 1e-4
        w = [w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(state["w"], m, v, strict=True)]
        return {"w": w, "m": m, "v": v}

    checkpointer = ocp.AsyncCheckpointer(ocp.StandardCheckpointHandler())
    watch = Watch()

    def step() -> None:
        nonlocal state
        state = jax.block_until_ready(adam(state))

    def save(number: int) -> None:
        begun = time.perf_counter()
        checkpointer.save(folder / str(number), args=ocp.args.StandardSave(state))
        watch.end_of(begun, checkpointer.wait_until_finished)

    run(folder, steps, every, step, save, watch.finish)


SIDES = {
    "none": none,
    "ours": ours,
    "tensorflow": tensorflow,
    "tensorflow-async": tensorflow_async,
    "keras": keras_backup,
    "orbax-async": orbax_async,
}

if __name__ == "__main__":
    SIDES[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:6]))
