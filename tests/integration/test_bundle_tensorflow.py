"""TensorFlow reads our checkpoints and we read TensorFlow's, bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from helpers.checkpoints import write_checkpoint
from sojourn.checkpoint.bundle import encode_index
from sojourn.checkpoint.bundle_reader import BundleReader
from sojourn.checkpoint.dtypes import ELEMENT_TYPES
from sojourn.checkpoint.manifest import Manifest
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.store.posix import PosixStore

pytestmark = pytest.mark.tensorflow
tf = pytest.importorskip("tensorflow")

FOLDER = "data/1-1-u"
GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint"
Arrays = dict[str, npt.NDArray[Any]]


def load(prefix: Path) -> Any:
    return tf.train.load_checkpoint(str(prefix))


def assert_tensorflow_reads(prefix: Path, arrays: Arrays) -> None:
    checkpoint = load(prefix)
    shapes, types = checkpoint.get_variable_to_shape_map(), checkpoint.get_variable_to_dtype_map()
    assert set(shapes) == set(arrays)
    for name, array in arrays.items():
        assert tuple(shapes[name]) == array.shape, name
        assert types[name].name == array.dtype.name, name
        value = np.asarray(checkpoint.get_tensor(name))
        assert (value.shape, value.tobytes()) == (array.shape, array.tobytes()), name


def arrays_of_every_type() -> Arrays:
    rng = np.random.default_rng(3)
    shapes: list[tuple[int, ...]] = [(), (1,), (0,), (3, 5), (2, 0, 4), (2, 3, 4, 5)]
    return {
        f"model/{kind.name}/{number}": rng.integers(0, 2, size=shape).astype(kind.numpy)
        for kind in ELEMENT_TYPES
        for number, shape in enumerate(shapes)
    }


@pytest.mark.parametrize("shards", [1, 3])
def test_tensorflow_reads_every_type_and_shape(tmp_path: Path, shards: int) -> None:
    arrays = arrays_of_every_type()
    write_checkpoint(PosixStore(tmp_path), "run", FOLDER, arrays, shards=shards)
    assert_tensorflow_reads(tmp_path / "run" / FOLDER / "ckpt", arrays)


def test_tensorflow_reads_large_tensors_and_awkward_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    arrays: Arrays = {
        "model/large": rng.normal(size=(2300, 1000)).astype(np.float32),
        "model/values": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        "model/ünicode/ name:0": np.arange(3),
        "a": np.array([2**63 - 1, -(2**63)]),
        "z" * 400: np.array([2**64 - 1], np.uint64),
    }
    write_checkpoint(PosixStore(tmp_path), "run", FOLDER, arrays, shards=2)
    assert_tensorflow_reads(tmp_path / "run" / FOLDER / "ckpt", arrays)


def test_tensorflow_reads_an_index_of_many_blocks(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    arrays: Arrays = {f"model/block_{number % 7}/layer_{number}/kernel": np.array([number]) for number in range(9000)}
    manifest, _ = write_checkpoint(store, "run", FOLDER, arrays, shards=2)
    assert store.stat(f"run/{FOLDER}/ckpt.index").size > 256 * 1024
    assert_tensorflow_reads(tmp_path / "run" / FOLDER / "ckpt", arrays)
    store.put(f"run/{FOLDER}/ckpt.index", encode_index(manifest.tensors, 2, block_bytes=100))
    assert_tensorflow_reads(tmp_path / "run" / FOLDER / "ckpt", arrays)


def test_tensorflow_detects_what_we_detect(tmp_path: Path) -> None:
    """The checksums in the index are real: TensorFlow refuses a changed byte by them."""
    store = PosixStore(tmp_path)
    write_checkpoint(store, "run", FOLDER, {"w": np.arange(100)})
    key = f"run/{FOLDER}/ckpt.data-00000-of-00001"
    store.put(key, b"\1" + store.read(key)[1:])
    with pytest.raises((tf.errors.OpError, RuntimeError), match="Checksum does not match"):
        load(tmp_path / "run" / FOLDER / "ckpt").get_tensor("w")
    with pytest.raises(CorruptData, match=r"tensor 'w'.*do not match the checksum"):
        BundleReader(store, f"run/{FOLDER}/ckpt").tensor("w")


def test_tensorflow_reads_the_golden_checkpoints() -> None:
    for folder in sorted(GOLDEN.glob("*/run/data/*")):
        manifest = Manifest.from_bytes((folder / "manifest.json").read_bytes(), source=str(folder))
        checkpoint = load(folder / "ckpt")
        for tensor in manifest.tensors:
            value = np.asarray(checkpoint.get_tensor(tensor.name))
            assert (value.shape, value.dtype.name) == (tensor.shape, tensor.dtype)


def test_we_read_tensorflows_own_checkpoint(tmp_path: Path) -> None:
    arrays = {
        "floats": np.arange(6, dtype=np.float32).reshape(2, 3),
        "count": np.array(7, np.int64),
        "flags": np.array([True, False]),
        "halves": np.array([0.5, -1.5], np.float16),
    }
    brain = tf.constant([1.5, -2.0], tf.bfloat16)
    variables = {name: tf.Variable(array) for name, array in arrays.items()}
    tf.train.Checkpoint(brain=tf.Variable(brain), **variables).write(str(tmp_path / "theirs"))
    reader = BundleReader(PosixStore(tmp_path), "theirs")
    for name, array in arrays.items():
        read = reader.tensor(f"{name}/.ATTRIBUTES/VARIABLE_VALUE")
        assert (read.dtype, read.shape, read.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert reader.tensor("brain/.ATTRIBUTES/VARIABLE_VALUE").tolist() == [1.5, -2.0]
    assert "_CHECKPOINTABLE_OBJECT_GRAPH" in reader.names()
    with pytest.raises(InvalidInput, match="cannot be stored"):
        reader.tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    with pytest.raises(NotFound):
        reader.tensor("floats")


def test_we_read_tensorflows_own_shards(tmp_path: Path) -> None:
    values = {f"v{number}": np.full((50, 20), number, np.float32) for number in range(6)}
    variables = {name: tf.Variable(value) for name, value in values.items()}
    policy = tf.train.experimental.MaxShardSizePolicy(max_shard_size=4000)
    options = tf.train.CheckpointOptions(experimental_sharding_callback=policy)
    tf.train.Checkpoint(**variables).write(str(tmp_path / "theirs"), options=options)
    assert len(list(tmp_path.glob("theirs.data-*"))) > 2
    reader = BundleReader(PosixStore(tmp_path), "theirs")
    for name, value in values.items():
        np.testing.assert_array_equal(reader.tensor(f"{name}/.ATTRIBUTES/VARIABLE_VALUE"), value)


def test_a_partitioned_variable_of_tensorflows_is_refused(tmp_path: Path) -> None:
    tensor = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "parts"), tensor_names=["w"], shape_and_slices=["4 2 0,2:0,2"], tensors=[tensor]
    )
    with pytest.raises(InvalidInput, match="partitioned"):
        BundleReader(PosixStore(tmp_path), "parts").tensor("w")
