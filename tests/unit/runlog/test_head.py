from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sojourn.runlog.head import find_head


@given(st.integers(-1, 300_000), st.integers(1, 40))
@example(-1, 1)
@example(0, 1)
@example(99_999, 16)
def test_the_head_is_found(head: int, width: int) -> None:
    assert find_head(lambda indices: [index <= head for index in indices], width) == head


@pytest.mark.parametrize(("width", "rounds"), [(1, 34), (16, 7)])
def test_a_long_log_takes_few_rounds(width: int, rounds: int) -> None:
    asked: list[Sequence[int]] = []

    def exist(indices: Sequence[int]) -> list[bool]:
        asked.append(indices)
        return [index < 100_000 for index in indices]

    assert find_head(exist, width) == 99_999
    assert len(asked) <= rounds
    assert all(len(indices) <= width for indices in asked)
