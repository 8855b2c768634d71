"""Threads that share work, and threads that do a bounded amount of it ahead of whoever takes the results."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
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


def share(work: Callable[[Iterator[T]], None], items: Iterable[T], threads: int) -> None:
    """Do `work` in so many threads, each with those items that it takes; the first error ends it for all."""
    shared = _Shared(items)
    if threads == 1:
        work(shared)
        return
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work, shared) for _ in range(threads)]
        for done in as_completed(running):
            if done.exception():
                shared.end()
                done.result()


class _Shared(Iterator[T]):
    """An iterator that threads may share."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __next__(self) -> T:
        with self._lock:
            return next(self._items)

    def end(self) -> None:
        """Give out nothing more."""
        with self._lock:
            self._items = iter(())
