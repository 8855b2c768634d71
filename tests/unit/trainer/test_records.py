"""TFRecord files: written by TensorFlow, indexed once, read in any order; torn, damaged, changed ones are noticed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sojourn.api import Data
from sojourn.errors import CorruptData, InvalidInput
from sojourn_trainer.data import records
from sojourn_trainer.data.load import load_data
from sojourn_trainer.data.records import RecordFile

pytestmark = pytest.mark.tensorflow


def write(path: Path, contents: list[bytes], compression: str | None = None) -> Path:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for content in contents:
            writer.write(content)
    return path


CONTENTS = [b"x" * size for size in (3, 0, 70_000, 1, 2_000_000, 12)]


@pytest.mark.parametrize("read_ahead", [12, 40, 1 << 20])
def test_records_are_read_in_any_order(read_ahead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_READ_AHEAD", read_ahead)
    file = RecordFile(write(tmp_path / "a.tfrecord", CONTENTS), tmp_path / "cache")
    assert len(file) == len(CONTENTS)
    for number in (4, 0, 5, 2, 1, 3):
        assert file.read(number) == CONTENTS[number]


def test_the_index_is_built_once_and_again_for_a_changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.tfrecord", CONTENTS)
    scans: list[Path] = []
    scan = records.scan
    monkeypatch.setattr(records, "scan", lambda file, path, size: scans.append(path) or scan(file, path, size))
    assert [len(RecordFile(path, tmp_path / "cache")) for _ in range(3)] == [6, 6, 6]
    assert len(scans) == 1
    write(path, CONTENTS[:2])
    assert len(RecordFile(path, tmp_path / "cache")) == 2
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert len(RecordFile(path, tmp_path / "cache")) == 2
    assert len(scans) == 3


def test_a_cache_that_cannot_be_written_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(RecordFile(write(tmp_path / "a.tfrecord", CONTENTS), tmp_path / "cache")) == 6


@pytest.mark.parametrize("left", [1, 11, 14, 20, 50_000])
def test_a_torn_file_is_refused_with_the_place(left: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", CONTENTS)
    os.truncate(path, left)
    with pytest.raises(InvalidInput, match=rf"is torn: record [012], at byte \d+, goes beyond its end at byte {left}"):
        RecordFile(path, tmp_path / "cache")


def test_a_damaged_length_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", CONTENTS)
    data = bytearray(path.read_bytes())
    data[19] ^= 1  # of the second record, which follows the 19 bytes of the first
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="length of record 1, at byte 19"):
        RecordFile(path, tmp_path / "cache")


def test_a_damaged_record_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", CONTENTS)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    file = RecordFile(path, tmp_path / "cache")
    assert file.read(3) == CONTENTS[3]
    with pytest.raises(CorruptData, match=r"record 2 of .*a\.tfrecord, at byte 35"):
        file.read(2)


def test_a_file_that_changes_under_training_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", CONTENTS)
    file = RecordFile(path, tmp_path / "cache")
    write(path, [b"other"])
    with pytest.raises(CorruptData, match="has changed"):
        file.read(3)


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="it is compressed"):
        RecordFile(write(tmp_path / "a.tfrecord", CONTENTS, "GZIP"), tmp_path / "cache")


def example(number: int, **changes: Any) -> bytes:
    import tensorflow as tf

    picture = np.full((4, 4, 3), number, np.uint8)
    values = {
        "weights": tf.train.Feature(float_list=tf.train.FloatList(value=[number, number + 0.5])),
        "raw": tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes([number] * 6)])),
        "picture": tf.train.Feature(bytes_list=tf.train.BytesList(value=[tf.io.encode_png(picture).numpy()])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
        **changes,
    }
    return bytes(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())


def spec(path: Path, **fields: Any) -> Data:
    inputs = [
        {"name": "weights", "shape": [2]},
        {"name": "raw", "form": "Bytes", "shape": [2, 3]},
        {"name": "picture", "form": "Image", "shape": [4, 4, 3]},
    ]
    source = {"path": str(path), "inputs": inputs, "label": {"name": "label", "form": "Int"}, **fields}
    return Data.from_manifest({"source": {"tfrecord": source}})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_folder_of_files_gives_the_arrays_that_its_records_hold(tmp_path: Path) -> None:
    for part in range(3):
        write(tmp_path / f"part-{part}.tfrecord", [example(10 * part + row) for row in range(part + 1)])
    data = load_data(spec(tmp_path), 0)
    assert len(data.train) == 6
    x, y = data.train.fetch(np.array([5, 0, 1]))
    np.testing.assert_array_equal(y, [22, 0, 10])
    np.testing.assert_array_equal(x["weights"], [[22, 22.5], [0, 0.5], [10, 10.5]])
    np.testing.assert_array_equal(x["raw"], np.broadcast_to(y[:, None, None], (3, 2, 3)))
    np.testing.assert_array_equal(x["picture"], np.broadcast_to(y[:, None, None, None], (3, 4, 4, 3)))
    assert {array.dtype.name for array in x.values()} == {"float32"}


def test_a_record_that_is_not_as_the_manifest_says_is_named(tmp_path: Path) -> None:
    import tensorflow as tf

    other = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))
    path = write(tmp_path / "a.tfrecord", [example(0), example(1), example(2, weights=other)])
    data = load_data(spec(path), 0)
    with pytest.raises(CorruptData, match=r"record 2 of .*a\.tfrecord is not as the manifest says: .*weights"):
        data.train.fetch(np.arange(3))
    bad = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"no picture"]))
    write(path, [example(0), example(1, picture=bad)])
    with pytest.raises(CorruptData, match=r"'picture' in record 1 of .*a\.tfrecord cannot be decoded"):
        load_data(spec(path), 0).train.fetch(np.arange(2))


def test_a_manifest_that_no_record_fits_is_refused_before_training(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", [example(0)])
    with pytest.raises(InvalidInput, match=r"'raw' in record 0 .* has 6 bytes, and shape .7. needs 7"):
        load_data(spec(path, inputs=[{"name": "raw", "form": "Bytes", "shape": [7]}]), 0)
    with pytest.raises(InvalidInput, match="absent"):
        load_data(spec(path, inputs=[{"name": "absent", "shape": [2]}]), 0)


def test_what_holds_no_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"has no file \*\.tfrecord"):
        load_data(spec(tmp_path), 0)
    with pytest.raises(InvalidInput, match="holds no record"):
        load_data(spec(write(tmp_path / "a.tfrecord", [])), 0)
    with pytest.raises(InvalidInput, match="cannot read the TFRecord file"):
        load_data(spec(tmp_path / "b.tfrecord"), 0)
