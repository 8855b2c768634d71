"""One side of benchmarks/restore.py in a process of its own: saves once, or restores once and takes a step.

Prints seconds by part as one line of JSON. All sides hold the state of benchmarks/save_sides.py: float32 weights and
both of Adam's slots in eight layers; Orbax holds it in JAX.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from save_sides import BATCH, LAYERS, tensorflow_state, width


class Clock:
    """Seconds by part; the first part begins when the process was asked for."""

    def __init__(self, begun: float) -> None:
        self._last = begun
        self.parts: dict[str, float] = {}

    def lap(self, part: str) -> None:
        now = time.time()
        self.parts[part] = now - self._last
        self._last = now


def ours(folder: Path, megabytes: int, clock: Clock, save: bool) -> None:
    """The trainer's own restore, digests verified. It is one call; `read` is taken inside of it."""
    import sojourn_trainer.checkpointing.restore as restoring
    from sojourn.checkpoint.commit import checkpoint_key, finish, shard_key
    from sojourn.checkpoint.manifest import CheckpointMeta
    from sojourn.checkpoint.reader import CheckpointReader
    from sojourn.checkpoint.shard import ShardWriter
    from sojourn.runlog.records import CommitInfo
    from sojourn.store.posix import PosixStore
    from sojourn_trainer.checkpointing.snapshot import as_bytes
    from sojourn_trainer.state.variables import StateVariable

    clock.lap("import")
    module, step = tensorflow_state(megabytes)
    variables = [*module.weights, *module.first, *module.second]
    state = [StateVariable(f"model/{v.name.partition(':')[0]}", (v,), None, weight=True) for v in variables]
    store, key, digest = PosixStore(folder), checkpoint_key(1, 1, "u"), folder / "digest"
    if save:
        step()
        with ShardWriter(store, shard_key("run", key, 0, 1)) as shard:
            for variable in state:
                value = variable.components[0]
                shard.add(variable.name, "float32", value.shape.as_list(), as_bytes(value.read_value()))
        digest.write_text(finish(store, "run", key, [shard.report], CheckpointMeta(step=1))[1])
        return
    clock.lap("build")

    class Timed(CheckpointReader):
        def fill(self, *arguments: Any, **options: Any) -> None:
            super().fill(*arguments, **options)
            clock.lap("read")

    reader = Timed(store, "run", CommitInfo(step=1, checkpoint=key, manifest=digest.read_text()))
    restoring.restore_state(state, reader, 0, 1)
    clock.lap("assign")
    step()
    clock.lap("first step")


def tensorflow(folder: Path, megabytes: int, clock: Clock, save: bool) -> None:
    """tf.train.Checkpoint, which checks a CRC of each tensor."""
    import tensorflow as tf

    clock.lap("import")
    module, step = tensorflow_state(megabytes)
    checkpoint = tf.train.Checkpoint(model=module)
    if save:
        step()
        checkpoint.write(str(folder / "ckpt"))
        return
    clock.lap("build")
    checkpoint.read(str(folder / "ckpt")).assert_consumed()
    clock.lap("read")
    step()
    clock.lap("first step")


def keras(folder: Path, megabytes: int, clock: Clock, save: bool) -> None:
    """What BackupAndRestore reads at the start of `fit`: weights and optimizer from its HDF5 file, unverified."""
    import keras
    import numpy as np
    import tensorflow as tf

    clock.lap("import")
    size = width(megabytes)
    dense = [keras.layers.Dense(size, activation="relu", use_bias=False) for _ in range(LAYERS)]
    model = keras.Sequential([keras.layers.Input((size,)), *dense])
    model.compile(keras.optimizers.Adam(1e-4), loss="mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    inputs = tf.constant(np.random.default_rng(0).normal(size=(BATCH, size)).astype(np.float32))
    targets = tf.zeros((BATCH, size))
    callback = keras.callbacks.BackupAndRestore(str(folder / "backup"), save_freq=1, delete_checkpoint=False)
    callback.set_model(model)
    if save:
        model.train_on_batch(inputs, targets)
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        callback._save_model()
        return
    clock.lap("build")
    callback.on_train_begin()
    clock.lap("read")
    model.train_on_batch(inputs, targets)
    clock.lap("first step")


def orbax(folder: Path, megabytes: int, clock: Clock, save: bool) -> None:
    """StandardCheckpointer onto arrays of the same state."""
    import jax
    import jax.numpy as jnp
    import orbax.checkpoint as ocp

    clock.lap("import")
    size = width(megabytes)
    keys = jax.random.split(jax.random.key(0), LAYERS)
    state = {
        "w": [jax.random.normal(key, (size, size)) * 0.02 for key in keys],
        "m": [jnp.zeros((size, size)) for _ in range(LAYERS)],
        "v": [jnp.zeros((size, size)) for _ in range(LAYERS)],
    }
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
        w = [w - 1e-4 * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(state["w"], m, v, strict=True)]
        return {"w": w, "m": m, "v": v}

    checkpointer = ocp.StandardCheckpointer()
    if save:
        checkpointer.save(folder / "ckpt", jax.block_until_ready(adam(state)))
        checkpointer.wait_until_finished()
        return
    jax.block_until_ready(state)
    clock.lap("build")
    state = jax.block_until_ready(checkpointer.restore(folder / "ckpt", state))
    clock.lap("read")
    jax.block_until_ready(adam(state))
    clock.lap("first step")


SIDES: dict[str, Callable[[Path, int, Clock, bool], None]] = {
    "ours": ours,
    "tensorflow": tensorflow,
    "keras": keras,
    "orbax": orbax,
}


def main() -> None:
    side, folder, megabytes, begun, what = sys.argv[1:]
    clock = Clock(float(begun))
    SIDES[side](Path(folder), int(megabytes), clock, what == "save")
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({**clock.parts, "rss": rss}))


if __name__ == "__main__":
    main()
