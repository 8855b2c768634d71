"""Which requests share a batch, what it is padded to, and that everybody gets his own rows back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.signatures import DIGITS
from sojourn_serving.server.batcher import Batcher, Limits
from sojourn_serving.server.batching import Load, batch_sizes, chunks, next_batch, padded, split
from sojourn_serving.server.protocol.errors import RequestError
from sojourn_serving.server.protocol.signature import Query

Outputs = dict[str, np.ndarray]


class Figures:
    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []

    def batch(self, requests: int, rows: int, waited: float, seconds: float) -> None:
        self.batches.append((requests, rows))


def query(*values: float) -> Query:
    return Query(DIGITS, {"image": np.array([[value, value] for value in values], np.float32).reshape(-1, 2)})


def double(name: str, inputs: Mapping[str, np.ndarray]) -> Outputs:
    return {"probabilities": inputs["image"] * 2}


def serve(
    work: Callable[[Batcher], object], run: Callable[..., Outputs] = double, limits: Limits | None = None
) -> tuple[object, Figures]:
    """Run `work` on a batcher whose model is busy until all of `work`'s requests are queued."""
    figures = Figures()

    async def main() -> object:
        batcher = Batcher(run, {"serving_default"}, limits or Limits(max_rows=8), figures)
        try:
            return await work(batcher)  # type: ignore[misc]
        finally:
            batcher.close()

    return asyncio.run(main()), figures


def test_what_queued_while_the_model_was_busy_is_the_next_batch() -> None:
    free = threading.Event()

    def slow(name: str, inputs: Mapping[str, np.ndarray]) -> Outputs:
        assert free.wait(10)
        return double(name, inputs)

    async def work(batcher: Batcher) -> list[float]:
        asked = [asyncio.ensure_future(batcher.submit(query(i))) for i in range(6)]
        await asyncio.sleep(0)
        free.set()
        return [float(outputs["probabilities"][0, 0]) for outputs in await asyncio.gather(*asked)]

    answers, figures = serve(work, slow)

    assert answers == [0, 2, 4, 6, 8, 10]
    assert figures.batches == [(1, 1), (5, 5)]


def test_a_request_that_the_model_refuses_fails_alone() -> None:
    free = threading.Event()

    def picky(name: str, inputs: Mapping[str, np.ndarray]) -> Outputs:
        assert free.wait(10)
        if (inputs["image"] == 13).any():
            raise RequestError("13 is refused")
        return double(name, inputs)

    async def work(batcher: Batcher) -> list[object]:
        asked = [asyncio.ensure_future(batcher.submit(query(i))) for i in (1, 2, 13, 4)]
        await asyncio.sleep(0)
        free.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers, _ = serve(work, picky)

    assert isinstance(answers, list)
    assert isinstance(answers[2], RequestError)
    assert [answer["probabilities"][0, 0] for i, answer in enumerate(answers) if i != 2] == [2, 4, 8]


def test_a_model_that_breaks_is_a_server_error_and_the_next_request_is_served() -> None:
    def broken(name: str, inputs: Mapping[str, np.ndarray]) -> Outputs:
        if inputs["image"][0, 0] == 0:
            raise RuntimeError("a kernel failed")
        return double(name, inputs)

    async def work(batcher: Batcher) -> float:
        with pytest.raises(RequestError, match="the model failed: a kernel failed") as failed:
            await batcher.submit(query(0))
        assert failed.value.status == 500
        return float((await batcher.submit(query(1)))["probabilities"][0, 0])

    assert serve(work, broken)[0] == 2


def test_a_full_queue_refuses_with_503() -> None:
    free = threading.Event()

    def slow(name: str, inputs: Mapping[str, np.ndarray]) -> Outputs:
        assert free.wait(10)
        return double(name, inputs)

    async def work(batcher: Batcher) -> int:
        asked = [asyncio.ensure_future(batcher.submit(query(*range(3)))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError, match="6 rows are waiting already") as refused:
            await batcher.submit(query(*range(3)))
        free.set()
        await asyncio.gather(*asked)
        return refused.value.status

    assert serve(work, slow, Limits(max_rows=8, max_waiting=8))[0] == 503


def test_a_request_larger_than_a_batch_runs_in_pieces() -> None:
    seen: list[int] = []

    def run(name: str, inputs: Mapping[str, np.ndarray]) -> Outputs:
        seen.append(len(inputs["image"]))
        return double(name, inputs)

    async def work(batcher: Batcher) -> list[float]:
        return (await batcher.submit(query(*range(19))))["probabilities"][:, 0].tolist()  # type: ignore[no-any-return]

    answers, _ = serve(work, run)

    assert answers == [2.0 * i for i in range(19)]
    assert seen == [8, 8, 3]


def test_no_rows_run_as_they_are() -> None:
    async def work(batcher: Batcher) -> tuple[int, ...]:
        return (await batcher.submit(query()))["probabilities"].shape

    assert serve(work)[0] == (0, 2)


loads = st.lists(st.builds(Load, st.sampled_from(["a", "b", None]), st.integers(1, 9)), min_size=1, max_size=12)


@given(loads, st.integers(1, 10))
def test_a_batch_starts_with_the_oldest_is_of_one_kind_and_fits(waiting: list[Load], most: int) -> None:
    chosen = next_batch(waiting, most)

    assert chosen[0] == 0
    assert chosen == sorted(set(chosen))
    assert {waiting[i].key for i in chosen} == {waiting[0].key}
    assert len(chosen) == 1 or sum(waiting[i].rows for i in chosen) <= most
    assert len(chosen) == 1 or waiting[0].key is not None


@given(st.integers(1, 500))
def test_sizes_waste_at_most_a_third(most: int) -> None:
    sizes = batch_sizes(most)

    assert sizes[-1] == most
    for rows in range(1, most + 1):
        size = next(size for size in sizes if size >= rows)
        assert size - rows <= size / 3


@given(st.integers(1, 100), st.integers(1, 20))
def test_chunks_cover_all_rows_in_order(rows: int, most: int) -> None:
    covered = [row for start, stop in chunks(rows, most) for row in range(start, stop)]

    assert covered == list(range(rows))


def test_padding_repeats_the_last_row_and_splitting_undoes_joining() -> None:
    assert padded({"x": np.array([[1], [2], [3]])}, (1, 2, 4))["x"].tolist() == [[1], [2], [3], [3]]
    assert [part["y"].tolist() for part in split({"y": np.arange(6)}, [1, 3, 2])] == [[0], [1, 2, 3], [4, 5]]
