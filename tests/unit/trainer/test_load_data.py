"""`spec.data`: reading, cleaning, splitting, normalising, and what is said when something is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sojourn.api import Data
from sojourn.errors import InvalidInput
from sojourn_trainer.data.load import load_data


def spec(**fields: object) -> Data:
    return Data.from_manifest(fields)


def test_digits_are_split_without_overlap_and_scaled() -> None:
    data = load_data(
        spec(source={"builtin": {"name": "digits"}}, normalize="MinMax", split={"validation": 0.1, "test": 0.2}), 7
    )
    assert data.validation is not None
    assert data.test is not None
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1258, 180, 359]
    x, y = data.train.fetch(np.arange(len(data.train)))
    assert (x.min(), x.max(), x.dtype, y.dtype) == (0.0, 1.0, np.float32, np.int64)


def test_the_mnist_archives_layout(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    images = np.zeros((6, 28, 28), np.uint8)
    np.savez(path, x_train=images, y_train=np.arange(6), x_test=images[:2], y_test=np.arange(2))
    x, y = load_data(spec(source={"npz": {"path": str(path)}}), 0).train.fetch(np.arange(6))
    assert (x.shape, x.dtype) == ((6, 28, 28), np.float32)
    np.testing.assert_array_equal(y, np.arange(6))


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros(3), y=np.zeros(3))
    with pytest.raises(InvalidInput, match="has no array") as caught:
        load_data(spec(source={"npz": {"path": str(tmp_path / "a.npz")}}), 0)
    assert "images, y" in caught.value.hint


def test_rows_with_gaps_are_left_out_and_words_become_classes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,kind\n1,2,cat\n3,,dog\n5,6,dog\n7,8,\n")
    data = load_data(spec(source={"csv": {"path": str(path), "label": "kind"}}), 0)
    x, y = data.train.fetch(np.arange(len(data.train)))
    np.testing.assert_array_equal(x, [[1, 2], [5, 6]])
    np.testing.assert_array_equal(y, [0, 1])
    assert y.dtype == np.int64


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match="has no column 'kind'") as caught:
        load_data(spec(source={"csv": {"path": str(path), "label": "kind"}}), 0)
    assert "a, b" in caught.value.hint


def test_standard_scaling_uses_the_training_rows_and_survives_constants(tmp_path: Path) -> None:
    rows = np.column_stack([np.arange(40.0), np.full(40, 3.0)])
    np.savez(tmp_path / "a.npz", x=rows, y=np.zeros(40))
    data = load_data(
        spec(source={"npz": {"path": str(tmp_path / "a.npz")}}, normalize="Standard", split={"validation": 0.5}), 1
    )
    x, _ = data.train.fetch(np.arange(len(data.train)))
    np.testing.assert_allclose(x.mean(axis=0), [0, 0], atol=1e-6)
    np.testing.assert_allclose(x.std(axis=0), [1, 0], atol=1e-6)
