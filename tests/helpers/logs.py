"""Logs for tests: shorthand for entries, a store that lies, and an account of a log that shares no code with it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from blake3 import blake3

from sojourn.errors import StoreError
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, Created
from sojourn.runlog.runs import run_prefix
from sojourn.store.base import Buffer, KeyExists, KeyMissing, ObjectInfo, Store, Writer

RUN_ID = "00000000-0000-4000-8000-000000000001"
PREFIX = run_prefix("digits", RUN_ID)
IMPATIENT = Env(sleep=lambda seconds: None)


def created(**fields: Any) -> Created:
    return Created(**{"run_id": RUN_ID, "name": "digits", **fields})


def digest(text: object) -> str:
    return f"blake3:{blake3(str(text).encode()).hexdigest()}"


def info(step: int, name: str = "u", **fields: Any) -> CommitInfo:
    key = f"data/{step}-{name}"
    return CommitInfo(**{"step": step, "checkpoint": key, "manifest": digest(key), **fields})


def account(store: Store, prefix: str = PREFIX) -> list[dict[str, Any]]:
    """Every entry of a log as JSON, after asserting that the log keeps its rules, with nothing of runlog's code."""
    keys = [item.key for item in store.list(f"{prefix}/log")]
    stored = [store.read(key) for key in keys]
    entries = [json.loads(data) for data in stored]
    parent = entries[0].get("parent", {}) if entries else {}
    term, attempt, fence, before, snapshot = parent.get("term", 0), "", "", "", 0
    pins: dict[str, dict[str, Any]] = {}
    for index, (key, data, entry) in enumerate(zip(keys, stored, entries, strict=True)):
        assert key == f"{prefix}/log/{index:020}.json"
        assert (entry["index"], entry["prev"], entry["snapshot"]) == (index, before, snapshot)
        assert len(data) <= 65536
        kind, before = entry["type"], digest_of(data)
        assert not fence or kind in ("pin", "unpin", "retire", "snapshot", "takeover"), f"{kind} after a fence"
        if kind == "attempt":
            assert entry["term"] == term + 1
            term, attempt = entry["term"], entry["attemptId"]
        elif kind == "commit":
            assert (entry["term"], entry["attemptId"]) == (term, attempt), "a commit of an outdated attempt"
        elif kind == "pin":
            pins[entry["pinId"]] = entry
        elif kind == "unpin":
            pins.pop(entry["pinId"])
        elif kind == "retire":
            held = [pin for pin in pins.values() if pin.get("until", "9") > entry["time"]]
            assert not set(entry["keys"]) & {key for pin in held for key in pin["keys"]}, "a pinned key was retired"
            assert entry["term"] == term
        elif kind == "fence":
            fence = before
        elif kind == "takeover":
            assert entry["fence"] == fence
            fence = "" if entry["recipient"]["runId"] == entries[0]["runId"] else fence
        elif kind == "snapshot":
            snapshot = index
    assert len({entry["nonce"] for entry in entries}) == len(entries)
    return entries


def digest_of(data: bytes) -> str:
    return f"blake3:{blake3(data).hexdigest()}"


@dataclass
class LyingStore:
    """A store whose answers cannot be trusted, as NFS and repeated PUTs make them; what lands, lands truly.

    `choose` picks what befalls each create: see `create`.
    """

    inner: Store
    choose: Callable[[], str]
    read_fails: Callable[[], bool] = lambda: False
    under_way: list[tuple[str, bytes]] = field(default_factory=list)

    LIES = ("success fails", "repeated", "nothing landed", "conflict without landing", "late", "none")

    @property
    def uri(self) -> str:
        return self.inner.uri

    @property
    def concurrency(self) -> int:
        return 1

    def create(self, key: str, data: Buffer) -> None:
        lie = self.choose()
        if lie == "none":
            return self.inner.create(key, data)
        if lie == "late":
            self.under_way.append((key, bytes(data)))
            raise StoreError("the request timed out and is still under way")
        if lie == "nothing landed":
            raise StoreError("the connection was refused")
        if lie == "conflict without landing":
            raise KeyExists("409: a conflicting operation is under way")
        self.inner.create(key, data)
        if lie == "repeated":
            # The server's answer was lost and the client repeated the request.
            return self.inner.create(key, data)
        raise StoreError("the connection was reset after the request had been carried out")

    def land_late(self) -> None:
        """Let the requests that are under way arrive."""
        for key, data in self.under_way:
            try:
                self.inner.create(key, data)
            except KeyExists:
                continue
        self.under_way.clear()

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        if self.read_fails():
            raise StoreError("the read timed out")
        return self.inner.read(key, offset, length)

    def put(self, key: str, data: Buffer) -> None:
        self.inner.put(key, data)

    def open_writer(self, key: str) -> AbstractContextManager[Writer]:
        return self.inner.open_writer(key)

    def stat(self, key: str) -> ObjectInfo:
        return self.inner.stat(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        return self.inner.list(prefix, start_after=start_after)

    def list_folders(self, prefix: str = "") -> Iterator[str]:
        return self.inner.list_folders(prefix)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def free_bytes(self) -> int | None:
        return self.inner.free_bytes()


@dataclass
class CountingStore(LyingStore):
    """An honest store that counts how often objects were asked for."""

    choose: Callable[[], str] = lambda: "none"
    reads: int = 0
    stats: int = 0

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        self.reads += 1
        return self.inner.read(key, offset, length)

    def stat(self, key: str) -> ObjectInfo:
        self.stats += 1
        return self.inner.stat(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        raise AssertionError("opening a run must not list its log")


def liar(inner: Store, seed: int, share: float) -> LyingStore:
    """A store that lies in that share of its answers, the same way for the same seed."""
    chance = random.Random(seed)

    def choose() -> str:
        return chance.choice(LyingStore.LIES) if chance.random() < share else "none"

    return LyingStore(inner, choose, read_fails=lambda: chance.random() < share / 4)


def tamper(store: Store, key: str, change: Callable[[bytes], bytes]) -> None:
    try:
        store.put(key, change(store.read(key)))
    except KeyMissing as error:
        raise AssertionError(f"nothing to change at {key}") from error


def filled(log: RunLog, commits: int, keep: int = 3) -> RunLog:
    """`log` with an attempt that made so many commits and kept the last few."""
    term = log.begin_attempt("a1")
    for step in range(1, commits + 1):
        log.commit(term=term, attempt_id="a1", commit=info(step))
        if len(log.state.commits) > keep:
            log.retire(term=term, keys=[log.state.commits[0].checkpoint])
    return log
