"""Cleaning and normalising: by statistics of the training rows, the same for arrays and for rows read in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sojourn.api import Data
from sojourn.errors import InvalidInput
from sojourn_trainer.data import prepare
from sojourn_trainer.data.load import load_data
from sojourn_trainer.data.source import ArraySource, FunctionSource, Source

ROWS = np.array([[0.0, 1.0], [1.0, np.nan], [2.0, 3.0], [3.0, 5.0], [4.0, 1000.0], [np.inf, 2.0]], np.float32)
TARGETS = np.arange(len(ROWS), dtype=np.float32)


def fitted(x: np.ndarray, *, lazily: bool = False, **fields: Any) -> tuple[np.ndarray, Source]:
    spec = Data.from_manifest({"source": {"builtin": {"name": "digits"}}, **fields})
    arrays = ArraySource((x, np.arange(len(x))))
    train = FunctionSource(len(x), arrays.fetch) if lazily else arrays
    preparation, kept = prepare.fit(train, spec)
    assert preparation is not None
    return preparation((x, TARGETS))[0], kept


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize(
    ("fill", "first", "second"),
    [({"mean": {}}, 2.0, 202.2), ({"constant": {"value": -1.0}}, -1.0, -1.0)],
)
def test_missing_inputs_are_filled(fill: Any, first: float, second: float, lazily: bool) -> None:
    x, _ = fitted(ROWS, lazily=lazily, fillMissing=fill)
    expected = ROWS.copy()
    expected[5, 0], expected[1, 1] = first, second
    np.testing.assert_allclose(x, expected, rtol=1e-6)


def test_the_median_is_that_of_the_values_that_are_there() -> None:
    x, _ = fitted(ROWS, fillMissing={"median": {}})
    assert (x[5, 0], x[1, 1]) == (2.0, 3.0)


def test_outliers_are_clipped_to_quantiles() -> None:
    x, _ = fitted(np.arange(101.0, dtype=np.float32)[:, None], outliers={"quantile": {"lower": 0.1, "upper": 0.95}})
    assert (x.min(), x.max()) == (10.0, 95.0)


@pytest.mark.parametrize("lazily", [False, True])
def test_outliers_are_clipped_by_standard_deviations(lazily: bool) -> None:
    x = np.concatenate([np.tile([-1.0, 1.0], 500), [50.0]]).astype(np.float32)[:, None]
    clipped, _ = fitted(x, lazily=lazily, outliers={"zScore": {"limit": 3.0}})
    np.testing.assert_allclose(clipped.max(), x.mean() + 3 * x.std(), rtol=1e-5)
    np.testing.assert_array_equal(clipped[:-1], x[:-1])


@pytest.mark.parametrize("lazily", [False, True])
def test_dropped_outliers_leave_the_training_rows_alone_and_the_scale_is_of_the_others(lazily: bool) -> None:
    x = np.append(np.arange(100.0), 1e6).astype(np.float32)[:, None]
    scaled, kept = fitted(x, lazily=lazily, outliers={"zScore": {"limit": 5.0}, "action": "Drop"}, normalize="MinMax")
    assert len(kept) == 100
    np.testing.assert_allclose(scaled[:100, 0], np.arange(100) / 99, rtol=1e-6)


@pytest.mark.parametrize("kind", ["MinMax", "Standard"])
def test_rows_read_in_pieces_have_the_statistics_of_arrays(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "_CHUNK_ROWS", 7)
    x = (np.random.default_rng(0).normal(size=(50, 3, 2)) * [3.0, 0.1] + [1000.0, 0.0]).astype(np.float32)
    np.testing.assert_allclose(
        fitted(x, lazily=True, normalize=kind)[0], fitted(x, normalize=kind)[0], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("fields", [{"fillMissing": {"median": {}}}, {"outliers": {"quantile": {}}}])
def test_what_needs_all_rows_at_once_is_refused_where_they_are_read_in_pieces(fields: Any) -> None:
    with pytest.raises(InvalidInput, match="needs data in memory"):
        fitted(ROWS, lazily=True, **fields)


def test_outliers_that_are_everywhere_are_refused() -> None:
    x = np.array([[-1.0], [1.0]], np.float32)
    with pytest.raises(InvalidInput, match="leaves no row"):
        fitted(x, outliers={"zScore": {"limit": 0.5}, "action": "Drop"})


def test_held_out_rows_are_cleaned_by_what_the_training_rows_show(tmp_path: Path) -> None:
    x = np.arange(200.0, dtype=np.float32).reshape(100, 2)
    x[::9, 0] = np.nan
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(100))
    fields = {
        "source": {"npz": {"path": str(tmp_path / "a.npz")}},
        "fillMissing": {"mean": {}},
        "normalize": "Standard",
        "split": {"test": 0.3},
    }
    data = load_data(Data.from_manifest(fields), 3)
    assert data.test is not None
    assert len(data.train) + len(data.test) == 100
    (train, train_labels), (test, test_labels) = (part.fetch(np.arange(len(part))) for part in (data.train, data.test))
    mean = np.nanmean(x[train_labels], axis=0)
    filled = np.where(np.isnan(x), mean, x)
    expected = (filled - filled[train_labels].mean(axis=0)) / filled[train_labels].std(axis=0)
    np.testing.assert_allclose(train, expected[train_labels], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(test, expected[test_labels], rtol=1e-4, atol=1e-5)
    assert data.unprepared is not None
    np.testing.assert_array_equal(data.unprepared.fetch(np.arange(16))[0], x[train_labels[:16]])
