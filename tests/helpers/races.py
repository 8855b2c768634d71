"""What racing writers of a log do. Light to import, since processes are spawned with it; each returns what it won."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from helpers.logs import info
from sojourn.errors import Refused
from sojourn.runlog.append import land
from sojourn.runlog.entries import Place, encode, entry_key
from sojourn.runlog.env import Env
from sojourn.runlog.errors import Fenced, MovedOn, StaleTerm
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Pin, Recipient
from sojourn.store.base import Store
from sojourn.store.posix import PosixStore

# Racers wait for nothing but each other.
ENV = Env(sleep=lambda seconds: None)
Racer = Callable[..., list[Any]]


@dataclass(frozen=True)
class Arena:
    """Where they race, and how all of them wait for each other."""

    store: Store
    meet: Callable[[], object]


def in_threads(racer: Racer, store: Store, arguments: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Run `racer(arena, *arguments)` once per element, at the same time."""
    start = threading.Barrier(len(arguments))

    def run(args: tuple[Any, ...]) -> list[Any]:
        start.wait(60)
        return racer(Arena(store, lambda: start.wait(60)), *args)

    with _quick_turns(), ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(run, arguments))


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Threads of one interpreter take turns often, in the middle of what they do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_processes(racer: Racer, folder: str, arguments: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """The same in processes that know nothing of each other, on the directory `folder`."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(arguments))
    results: list[list[Any]] = []
    pipes = []
    for args in arguments:
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=_process, args=(racer, folder, args, start, send))
        process.start()
        send.close()
        pipes.append((process, receive))
    for process, receive in pipes:
        results.append(receive.recv())
        process.join()
    return results


def _process(racer: Racer, folder: str, args: tuple[Any, ...], start: Any, send: Any) -> None:
    start.wait(60)
    send.send(racer(Arena(PosixStore(folder), lambda: start.wait(60)), *args))


def win_entries(arena: Arena, prefix: str, me: str, rounds: int) -> list[int]:
    """Ask for entry 0, 1, 2 ... of a folder; return the numbers that became ours."""
    won = []
    for index in range(rounds):
        arena.meet()
        body = Pin(pin_id=f"{me}-{index}", keys=(), holder=me)
        _, data = encode(body, Place(index, "", 0), f"{me}-{index}", ENV.now())
        if land(arena.store, entry_key(prefix, index), data, ENV):
            won.append(index)
    return won


def pin_often(arena: Arena, prefix: str, me: str, rounds: int) -> list[str]:
    """Append pins with and without taking them back; return their ids."""
    log = RunLog.open(arena.store, prefix, env=ENV)
    pins = []
    for number in range(rounds):
        pins.append(log.pin([], holder=me, until=None))
        if number % 2:
            log.unpin(pins[-1])
    return pins


def train(arena: Arena, prefix: str, me: str, commits: int) -> list[tuple[int, str]]:
    """Begin an attempt and commit, again and again as others shut us out; return (term, checkpoint) as promised."""
    log = RunLog.open(arena.store, prefix, env=ENV)
    done: list[tuple[int, str]] = []
    for attempt in range(commits):
        term = log.begin_attempt(f"{me}-{attempt}")
        try:
            while len(done) < commits:
                commit = info(len(done), f"{me}-{attempt}-{len(done)}")
                log.commit(term=term, attempt_id=f"{me}-{attempt}", commit=commit)
                done.append((term, commit.checkpoint))
                if len(done) % 5 == 0:
                    break
        except StaleTerm:
            continue
    return done


def train_or_hand_over(arena: Arena, role: str, prefixes: Sequence[str]) -> list[Any]:
    """One of the two roles around a fence."""
    return _train_until_fenced(arena, prefixes, "a") if role == "train" else _hand_over(arena, prefixes, 3)


def _train_until_fenced(arena: Arena, prefixes: Sequence[str], me: str) -> list[tuple[str, str]]:
    """In each run, commit until it is fenced; return (prefix, checkpoint) as promised."""
    done = []
    for prefix in prefixes:
        arena.meet()
        log = RunLog.open(arena.store, prefix, env=ENV)
        try:
            term = log.begin_attempt(me)
            for step in range(300):
                # Two threads share an interpreter: without a step between its commits the other never catches up.
                time.sleep(0.0001)
                log.commit(term=term, attempt_id=me, commit=info(step, me))
                done.append((prefix, info(step, me).checkpoint))
                if step >= 2:
                    log.retire(term=term, keys=[info(step - 2, me).checkpoint])
        except (Fenced, StaleTerm):
            continue
    return done


def _hand_over(arena: Arena, prefixes: Sequence[str], commits: int) -> list[tuple[str, str, int]]:
    """In each run, wait for some commits, then fence until it succeeds; return (prefix, manifest, tries)."""
    done = []
    for prefix in prefixes:
        arena.meet()
        log = RunLog.open(arena.store, prefix, env=ENV)
        while log.refresh().commits_made < commits:
            continue
        tries = 0
        while not log.state.fence:
            state = log.refresh()
            newest = state.latest.manifest if state.latest else ""
            tries += 1
            try:
                log.fence(
                    expected_term=state.term,
                    expected_commit=newest,
                    recipient=Recipient(run_id="elsewhere"),
                    migration_id="m",
                )
            except MovedOn:
                continue
            done.append((prefix, newest, tries))
    return done


def compete_to_hand_over(arena: Arena, prefixes: Sequence[str], me: str) -> list[str]:
    """Fence each run for a recipient of our own; return those where we were the one."""
    won = []
    for prefix in prefixes:
        arena.meet()
        log = RunLog.open(arena.store, prefix, env=ENV)
        try:
            log.fence(expected_term=0, expected_commit="", recipient=Recipient(run_id=me), migration_id=me)
        except Refused:
            continue
        won.append(prefix)
    return won
