"""Which stored tensors a worker reads for its variables: what it needs, and no more."""

from __future__ import annotations

import pytest

from sojourn_trainer.checkpointing.sources import Replicas, Source, sources
from sojourn_trainer.state.variables import Merge

pytestmark = pytest.mark.tensorflow

NAME, ONE, TWO, THREE = "model/mean", "replica_1/model/mean", "replica_2/model/mean", "replica_3/model/mean"
ALL = (NAME, ONE, TWO, THREE)


def found(merge: Merge | None, first: int, local: int, total: int, saved: int) -> list[Source]:
    return sources(NAME, merge, Replicas(first, local, total, saved), ALL[:saved].__contains__)


def test_what_is_equal_everywhere_is_read_once_for_all_components() -> None:
    assert found(None, 2, 2, 4, 1) == [Source(None, (NAME,))]


def test_as_many_replicas_read_only_their_own() -> None:
    assert found(Merge.MEAN, 2, 2, 4, 4) == [Source(0, (TWO,)), Source(1, (THREE,))]
    assert found(Merge.FIRST, 0, 1, 1, 1) == [Source(0, (NAME,))]


@pytest.mark.parametrize(("total", "saved"), [(1, 2), (4, 2), (2, 4), (4, 1)])
def test_another_number(total: int, saved: int) -> None:
    copies = ALL[:saved]
    mean = [Source(None, copies, Merge.MEAN)] if saved > 1 else [Source(None, (NAME,))]
    assert found(Merge.MEAN, 0, 1, total, saved) == mean
    assert found(Merge.FIRST, total - 1, 1, total, saved) == [Source(None, (NAME,))]
    assert found(Merge.SUM, 0, 1, total, saved) == [Source(0, copies, Merge.SUM)]
    assert total == 1 or found(Merge.SUM, 1, 1, total, saved) == [Source(0, (), Merge.SUM)]
