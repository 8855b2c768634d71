"""One thread that runs the model, and the queue in front of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sojourn_serving.server.batching import (
    Arrays,
    Load,
    batch_sizes,
    chunks,
    joined,
    load_of,
    next_batch,
    padded,
    split,
)
from sojourn_serving.server.protocol.errors import RequestError
from sojourn_serving.server.protocol.signature import Query

_log = logging.getLogger(__name__)

Outputs = dict[str, np.ndarray]
Run = Callable[[str, Arrays], Outputs]


class Observer(Protocol):
    """Receives a batch's figures: requests, rows, seconds its oldest request waited, seconds the model took."""

    def batch(self, requests: int, rows: int, waited: float, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_rows` of a batch (1 turns batching off), `max_waiting` rows in the queue."""

    max_rows: int = 64
    max_waiting: int = 4096


@dataclass(slots=True)
class _Waiting:
    query: Query
    load: Load
    since: float
    answer: asyncio.Future[Outputs]


class Batcher:
    """Runs queries on the model one batch at a time; whatever comes in meanwhile is the next batch.

    Args:
        run: called in the one model thread with a signature's name and its inputs; its RequestErrors reach the client.
        batchable: names of the signatures whose rows do not depend on each other.
        clock: seconds; an event loop's own clock may stand still for a whole turn of the loop.
    """

    def __init__(
        self,
        run: Run,
        batchable: Collection[str],
        limits: Limits,
        observer: Observer,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._run = run
        self._batchable = frozenset(batchable) if limits.max_rows > 1 else frozenset()
        self._limits = limits
        self._sizes = batch_sizes(limits.max_rows)
        self._observer = observer
        self._waiting: deque[_Waiting] = deque()
        self._rows = 0
        self._busy = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def submit(self, query: Query) -> Outputs:
        """The model's outputs for `query`.

        Raises:
            RequestError: the queue is full (503), or the model refuses the inputs (400).
        """
        load = load_of(query, batchable=query.signature.name in self._batchable)
        if self._rows and self._rows + load.rows > self._limits.max_waiting:
            raise RequestError(
                f"{self._rows} rows are waiting already (limit {self._limits.max_waiting}); try again", 503
            )
        loop = asyncio.get_running_loop()
        waiting = _Waiting(query, load, self._clock(), loop.create_future())
        self._waiting.append(waiting)
        self._rows += load.rows
        if not self._busy:
            self._start(loop)
        return await waiting.answer

    def close(self) -> None:
        """Let the thread end after what it is doing."""
        self._thread.shutdown(wait=False)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        indices = next_batch([item.load for item in self._waiting], self._limits.max_rows)
        batch = [self._waiting[index] for index in indices]
        for index in reversed(indices):
            del self._waiting[index]
        self._rows -= sum(item.load.rows for item in batch)
        self._busy = True
        started = self._clock()
        running = loop.run_in_executor(self._thread, self._execute, [(item.query, item.load) for item in batch])
        running.add_done_callback(lambda done: self._finish(loop, batch, started, done))

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[_Waiting],
        started: float,
        done: asyncio.Future[list[Outputs | Exception]],
    ) -> None:
        self._busy = False
        if self._waiting:
            self._start(loop)
        failure = done.exception()
        if failure is not None:
            _log.error("the model failed on a batch of %d requests", len(batch), exc_info=failure)
        results: list[Outputs | Exception] = (
            done.result() if failure is None else [RequestError(f"the model failed: {failure}", 500)] * len(batch)
        )
        for item, result in zip(batch, results, strict=True):
            if item.answer.done():
                continue
            if isinstance(result, Exception):
                item.answer.set_exception(result)
            else:
                item.answer.set_result(result)
        rows = sum(item.load.rows for item in batch)
        self._observer.batch(len(batch), rows, started - batch[0].since, self._clock() - started)

    def _execute(self, batch: list[tuple[Query, Load]]) -> list[Outputs | Exception]:
        """Runs in the model thread. A batch that fails is run again request by request, so only the culprit fails."""
        name = batch[0][0].signature.name
        if batch[0][1].key is None:
            return [self._alone(batch[0][0])]
        inputs = joined([query.inputs for query, _ in batch])
        counts = [load.rows for _, load in batch]
        try:
            outputs = self._padded(name, inputs, sum(counts))
        except RequestError as error:
            return [error] if len(batch) == 1 else [result for item in batch for result in self._execute([item])]
        return list(split(outputs, counts))

    def _alone(self, query: Query) -> Outputs | Exception:
        try:
            return self._run(query.signature.name, query.inputs)
        except RequestError as error:
            return error

    def _padded(self, name: str, inputs: Arrays, rows: int) -> Outputs:
        pieces = []
        for start, stop in chunks(rows, self._limits.max_rows):
            piece = {key: array[start:stop] for key, array in inputs.items()}
            outputs = self._run(name, padded(piece, self._sizes))
            pieces.append({key: array[: stop - start] for key, array in outputs.items()})
        return dict(joined(pieces))
