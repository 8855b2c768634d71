"""Threads that do a bounded amount of work ahead of whoever takes the results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MANY = 64


class Pool:
    """Threads, or none for `size` 1: then work is done where it is asked for."""

    def __init__(self, size: int) -> None:
        self._threads = ThreadPoolExecutor(size) if size > 1 else None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._threads:
            self._threads.shutdown(cancel_futures=True)

    def run(self, work: Callable[[T], R], items: Iterable[T]) -> None:
        """Do `work` for all items; the first error ends it."""
        for _ in self.ordered(work, items):
            pass

    def ordered(self, work: Callable[[T], R], items: Iterable[T], ahead: int = _MANY) -> Iterator[R]:
        """Results in the order of the items, with at most `ahead` of them waiting to be taken."""
        if self._threads is None:
            yield from map(work, items)
            return
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(self._threads.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
