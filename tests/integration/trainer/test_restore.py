"""Restoring into real variables: all of it or nothing, without a copy, also for other numbers of replicas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from helpers.checkpoints import write_shard
from sojourn.api.policy import RestoreVariables
from sojourn.checkpoint.commit import finish, shard_key
from sojourn.checkpoint.digest import CHUNK_BYTES
from sojourn.checkpoint.manifest import CheckpointMeta
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.errors import CorruptData, InvalidInput
from sojourn.store.memory import MemoryStore
from sojourn_trainer.checkpointing.restore import restore_part, restore_state
from sojourn_trainer.checkpointing.snapshot import as_bytes
from sojourn_trainer.state.variables import Merge, StateVariable

pytestmark = pytest.mark.tensorflow

DATA = "run/data/1-1-u/ckpt.data-00000-of-00001"
SAVED = {
    "model/a/kernel": np.arange(CHUNK_BYTES, dtype=np.float32).reshape(2, -1),
    "model/b/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "callbacks/x/best/0": np.arange(3.0),
    "input/0/iterator": np.arange(9, dtype=np.uint8),
    "input/1/iterator": np.arange(7, dtype=np.uint8),
}


def saved(tensors: Mapping[str, np.ndarray], replicas: int = 1) -> tuple[MemoryStore, CheckpointReader]:
    store = MemoryStore()
    report = write_shard(store, shard_key("run", "data/1-1-u", 0, 1), tensors)
    manifest, _ = finish(store, "run", "data/1-1-u", [report], CheckpointMeta(step=1, replicas=replicas))
    return store, CheckpointReader(store, "run", manifest)


def variable(name: str, value: Any, merge: Merge | None = None, copies: int = 1) -> StateVariable:
    return StateVariable(name, tuple(tf.Variable(value) for _ in range(copies)), merge, weight=True)


def model() -> list[StateVariable]:
    names = ("model/a/kernel", "model/b/kernel")
    return [variable(name, tf.ones(SAVED[name].shape)) for name in names]


def untouched(state: list[StateVariable]) -> bool:
    return all((component.numpy() == 1).all() for variable in state for component in variable.components)


def test_values_and_what_goes_with_them() -> None:
    _, reader = saved(SAVED)
    state = model()
    restored = restore_state(state, reader, 0, 1, also=("callbacks/", "input/0/"))
    assert restored.found.taken == ("model/a/kernel", "model/b/kernel")
    for one in state:
        np.testing.assert_array_equal(one.components[0].numpy(), SAVED[one.name])
    assert sorted(restored.others) == ["callbacks/x/best/0", "input/0/iterator"]
    for name, value in restored.others.items():
        np.testing.assert_array_equal(value, SAVED[name])


def test_the_memory_that_was_read_into_stays_the_variables_own() -> None:
    """Updates write to it in place: no copy of the state is made, neither by the assignment nor by the first step."""
    _, reader = saved(SAVED)
    state = model()
    before = [address(one) for one in state]
    restore_state(state, reader, 0, 1)
    read = [address(one) for one in state]
    assert not set(before) & set(read)
    for one in state:
        one.components[0].assign_add(tf.ones_like(one.components[0]))
        tf.raw_ops.ResourceApplyGradientDescent(
            var=one.components[0].handle, alpha=1.0, delta=tf.ones_like(one.components[0])
        )
        np.testing.assert_array_equal(one.components[0].numpy(), SAVED[one.name])
    assert [address(one) for one in state] == read


def address(one: StateVariable) -> int:
    return int(as_bytes(one.components[0].read_value()).__array_interface__["data"][0])


@pytest.mark.parametrize("at", [0, CHUNK_BYTES - 1, CHUNK_BYTES, 4 * CHUNK_BYTES, 4 * CHUNK_BYTES + 30, -1])
def test_a_flipped_byte_anywhere_leaves_the_model_as_it_is(at: int) -> None:
    """Wherever it is, in the last tensor read and in what is no variable, too."""
    store, reader = saved(SAVED)
    data = bytearray(store.read(DATA))
    data[at] ^= 1
    store.put(DATA, data)
    state = model()
    with pytest.raises(CorruptData, match=r"ckpt\.data-00000-of-00001, chunk \d+ .*do not match"):
        restore_state(state, reader, 0, 1, also=("callbacks/", "input/0/"))
    assert untouched(state)


def test_a_torn_file_leaves_the_model_as_it_is() -> None:
    store, reader = saved(SAVED)
    store.put(DATA, store.read(DATA)[:-1])
    state = model()
    with pytest.raises(CorruptData, match="the file ends after"):
        restore_state(state, reader, 0, 1)
    assert untouched(state)


def test_all_that_does_not_fit_is_told_before_anything_is_read() -> None:
    store, reader = saved(SAVED)
    store.delete(DATA)
    state = [
        *model()[:1],
        variable("model/b/kernel", tf.ones([3, 2])),
        variable("model/c_1/kernel", tf.ones([4], tf.bfloat16)),
    ]
    said = (
        "does not fit the model: missing in the checkpoint: model/c_1/kernel (bfloat16 [4]); "
        "of another form: model/b/kernel (saved float32 [2, 3], here float32 [3, 2])"
    )
    with pytest.raises(InvalidInput) as raised:
        restore_state(state, reader, 0, 1)
    assert raised.value.message == f"the checkpoint at step 1 {said}"
    assert untouched(state)


def test_a_part_reads_only_that_part() -> None:
    store, reader = saved(SAVED)
    data = bytearray(store.read(DATA))
    data[0] ^= 1
    store.put(DATA, data)
    state = model()
    found = restore_part(state, reader, RestoreVariables(include=["model/b/*"]), 0, 1)
    assert found.taken == ("model/b/kernel",)
    np.testing.assert_array_equal(state[1].components[0].numpy(), SAVED["model/b/kernel"])
    assert untouched(state[:1])


def test_a_copy_of_another_form_is_none() -> None:
    _, reader = saved({"model/m": np.ones(2, np.float32), "replica_1/model/m": np.ones(3, np.float32)}, replicas=2)
    state = [variable("model/m", tf.ones([2]), Merge.MEAN)]
    with pytest.raises(InvalidInput, match=r"replica_1/model/m \(saved float32 \[3\], here float32 \[2\]\)"):
        restore_state(state, reader, 1, 2)


@pytest.mark.parametrize("before", [1, 2, 4])
@pytest.mark.parametrize("after", [1, 2, 4])
def test_other_numbers_of_replicas(before: int, after: int) -> None:
    def copies(name: str, of: list[Any], kind: Any) -> dict[str, np.ndarray]:
        return {(name if r == 0 else f"replica_{r}/{name}"): np.array([of[r]], kind) for r in range(before)}

    values = [1.0, 3.0, 8.0, 4.0][:before]
    tensors = {
        "model/equal": np.array([5.0], np.float32),
        **copies("model/mean", values, np.float32),
        **copies("metrics/0/sum", values, np.float32),
        **copies("model/seed", [7, 8, 9, 10], np.int64),
    }
    _, reader = saved(tensors, replicas=before)
    for first in range(after):
        state = [
            variable("model/equal", [0.0]),
            variable("model/mean", [0.0], Merge.MEAN),
            variable("metrics/0/sum", [0.0], Merge.SUM),
            variable("model/seed", tf.zeros([1], tf.int64), Merge.FIRST),
        ]
        restore_state(state, reader, first, after)
        got = [float(one.components[0].numpy()[0]) for one in state]
        if before == after:
            assert got == [5.0, values[first], values[first], 7.0 + first]
        else:
            assert got == [5.0, float(np.mean(values)), sum(values) if first == 0 else 0.0, 7.0]


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int32, np.uint32, np.bool_, ml_dtypes.bfloat16, np.int64])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_every_type_of_variable(kind: Any, shape: tuple[int, ...]) -> None:
    value = np.ones(shape, kind)
    _, reader = saved({"model/v": value})
    state = [variable("model/v", tf.zeros(shape, tf.as_dtype(kind)), copies=2)]
    restore_state(state, reader, 0, 2)
    for component in state[0].components:
        np.testing.assert_array_equal(component.numpy(), value)
