"""How streams share the work: the next chunk is asked for early, what is dropped is asked for again, who reads back."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.runs import Clock, assert_holds, trained_run
from helpers.transfers import Ends, incoming, linked, place
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import CorruptData
from sojourn.runlog.log import RunLog
from sojourn.store.base import Partial, Writer
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer.outgoing import Selection
from sojourn.transfer.pool import share
from sojourn.transfer.reader import Want

COPY = Selection()
CHUNK = 8 << 20


def run_with(folder: Path, clock: Clock, size: int) -> RunLog:
    log = trained_run(PosixStore(folder), clock.env(), steps=(10,))
    log.store.put(f"{log.prefix}/job/aa/data.bin", random.Random(1).randbytes(size))
    return log


def watch_requests(ends: Ends) -> threading.Semaphore:
    """Counts the chunks of data.bin that the source was asked for."""
    asked, read = threading.Semaphore(0), ends.sender.read

    def reading(key: str, first: int, last: int) -> Any:
        if key.endswith("data.bin"):
            asked.release()
        return read(key, first, last)

    ends.sender.read = reading  # type: ignore[method-assign]
    return asked


def test_the_next_chunk_is_asked_for_before_the_last_one_is_written(tmp_path: Path) -> None:
    clock = Clock()
    waited: list[bool] = []

    class Slow(PosixStore):
        """Writes a chunk of data.bin only when the next one was asked for, too."""

        asked: threading.Semaphore

        @contextmanager
        def open_partial(self, key: str, size: int, token: str) -> Iterator[Partial]:
            with super().open_partial(key, size, token) as partial:
                yield _Slow(partial, self.asked, waited) if key.endswith("data.bin") else partial

    source = run_with(tmp_path / "a", clock, 4 * CHUNK)
    there = Slow(tmp_path / "b")
    with linked(source, COPY, clock=clock) as ends:
        there.asked = watch_requests(ends)
        there.asked.acquire(blocking=False)
        arriving = incoming(ends, place(there), clock=clock)
        arriving.bring(ends.remote, streams=1)
    # Behind the last one nothing is left to ask for.
    assert waited == [True, True, True, True]
    assert verify_run(arriving.begin()).ok


class _Slow:
    def __init__(self, inner: Partial, asked: threading.Semaphore, waited: list[bool]) -> None:
        self._inner, self._asked, self._waited = inner, asked, waited
        self.read, self.finish = inner.read, inner.finish

    def write(self, offset: int, data: Any) -> None:
        if not self._waited:
            self._asked.acquire(timeout=10)
        self._waited.append(offset == 3 * CHUNK or self._asked.acquire(timeout=10))
        self._inner.write(offset, data)


def test_answers_may_be_taken_in_any_order_and_after_cuts(tmp_path: Path) -> None:
    source = run_with(tmp_path, Clock(), 1_000_000)
    key = f"{source.prefix}/job/aa/data.bin"
    data = source.store.read(key)
    with linked(source, COPY) as ends:
        ends.remote.offer()
        first, second, third = (ends.remote.ask(Want(key, start, 1000)) for start in (0, 1000, 2000))
        assert bytes(second.take().data) == data[1000:2000]
        assert bytes(third.take().data) == data[2000:3000]
        assert bytes(first.take().data) == data[:1000]
        one, other = ends.remote.ask(Want(key, 5, 10)), ends.remote.ask(Want(key, 50, 10))
        one.drop()
        assert bytes(other.take().data) == data[50:60]
        assert bytes(ends.remote.read(key, 7, 3)) == data[7:10]


def test_what_was_answered_is_taken_from_a_connection_that_can_be_asked_nothing_more(tmp_path: Path) -> None:
    source = run_with(tmp_path, Clock(), 1_000_000)
    key = f"{source.prefix}/job/aa/data.bin"
    data = source.store.read(key)
    with linked(source, COPY) as ends:
        ends.remote.offer()
        first = ends.remote.ask(Want(key, 0, 1000))
        assert first.line is not None
        first.line.connection.shutdown(socket.SHUT_WR)
        second = ends.remote.ask(Want(key, 1000, 1000))
        assert bytes(first.take().data) == data[:1000]
        assert bytes(second.take().data) == data[1000:2000]
        assert bytes(ends.remote.read(key, 2000, 10)) == data[2000:2010]
        assert first.line.lost


def test_a_connection_is_one_threads_at_a_time(tmp_path: Path) -> None:
    source = run_with(tmp_path, Clock(), 1_000_000)
    key = f"{source.prefix}/job/aa/data.bin"
    data = source.store.read(key)
    with linked(source, COPY) as ends, ThreadPoolExecutor(1) as other:
        ends.remote.offer()
        first = ends.remote.ask(Want(key, 0, 10))
        assert bytes(first.take().data) == data[:10]
        theirs = other.submit(ends.remote.ask, Want(key, 10, 10)).result()
        mine = ends.remote.ask(Want(key, 20, 10))
        assert theirs.line is first.line is not mine.line
        assert bytes(mine.take().data) == data[20:30]
        assert bytes(other.submit(theirs.take).result().data) == data[10:20]


def test_a_directory_is_not_read_again_and_an_object_store_is(tmp_path: Path) -> None:
    read: list[str] = []

    class Directory(PosixStore):
        def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            read.append(key)
            return super().read(key, offset, length)

    class Objects(MemoryStore):
        def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
            read.append(key)
            return super().read(key, offset, length)

    clock = Clock()
    source = run_with(tmp_path / "a", clock, 100_000)
    for store, often in ((Directory(tmp_path / "b"), 0), (Objects("there"), 1)):
        with linked(source, COPY, clock=clock) as ends:
            arriving = incoming(ends, place(store), clock=clock)
            read.clear()
            arriving.bring(ends.remote)
            assert sum(key.endswith("data.bin") for key in read) == often
            assert_holds(arriving.begin(), 10)


def test_what_an_object_store_makes_of_it_is_verified(tmp_path: Path) -> None:
    class Damaging(MemoryStore):
        """Swaps two bytes when it puts an object together."""

        @contextmanager
        def open_writer(self, key: str) -> Iterator[Writer]:
            with super().open_writer(key) as writer:
                yield writer
            data = bytearray(self.read(key))
            data[100], data[101] = data[101] ^ 1, data[100] ^ 1
            self.put(key, data)

    clock = Clock()
    source = run_with(tmp_path, clock, CHUNK + 1000)
    with linked(source, COPY, clock=clock) as ends:
        arriving = incoming(ends, place(Damaging("there")), clock=clock)
        with pytest.raises(CorruptData, match=r"data\.bin"):
            arriving.bring(ends.remote)


def test_the_first_error_ends_all_threads() -> None:
    taken: list[int] = []
    both = threading.Barrier(2)

    def work(items: Iterator[int]) -> None:
        for item in items:
            taken.append(item)
            if item < 2:
                both.wait(10)
            if item == 1:
                raise ValueError("one")

    with pytest.raises(ValueError, match="one"):
        share(work, iter(range(10**9)), 2)
    assert len(taken) < 10**8


def test_threads_share_all_items_once() -> None:
    taken: list[int] = []

    def work(items: Iterator[int]) -> None:
        taken.extend(items)

    share(work, range(10_000), 4)
    assert sorted(taken) == list(range(10_000))
