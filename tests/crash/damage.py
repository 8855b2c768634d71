"""Damage to stored bytes, and what a reader makes of it: the very state that was committed, or a named error."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from helpers.checkpoints import sample_tensors
from helpers.runs import Clock, add_export, commit_step, new_run
from sojourn.checkpoint.files import load_file_set, read_verified
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import CorruptData, SojournError
from sojourn.runlog.log import RunLog
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore

_UNVERIFIED = ("job/",)
"""The job's own files: whoever unpacks them checks them against the digest in the job's spec."""


@dataclass(frozen=True)
class Original:
    """A run as it was written: its store, its log object, and the bytes of each file that the log vouches for."""

    store: MemoryStore
    log: RunLog
    files: Mapping[str, bytes]

    def restore(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.store.put(key, self.files[key])


@dataclass(frozen=True, slots=True)
class Damage:
    """Files with other bytes than were written (None: the file is gone)."""

    what: str
    files: Mapping[str, bytes | None]


def original(*, entries: int = 0) -> Original:
    """A run of four checkpoints and an export, with so many pins that it has a large snapshot if `entries` is 100."""
    store, clock = MemoryStore(), Clock()
    log = new_run(store, clock.env())
    log.begin_attempt("first")
    for step in (10, 20):
        commit_step(log, step)
    for number in range(entries):
        log.pin([log.state.commits[0].checkpoint], holder=f"{number} {'x' * 700}", until=None)
    log.begin_attempt("second")
    add_export(log, 1)
    for step in (30, 40):
        commit_step(log, step)
    files = {info.key: store.read(info.key) for info in store.list(log.prefix)}
    return Original(store, log, {key: data for key, data in files.items() if not _is_unverified(log, key)})


def _is_unverified(log: RunLog, key: str) -> bool:
    return key.removeprefix(f"{log.prefix}/").startswith(_UNVERIFIED)


def flips(run: Original, count: int, seed: int) -> Iterator[Damage]:
    """One flipped bit, each file as often as any other."""
    lot = random.Random(seed)
    files = [key for key, data in run.files.items() if data]
    for number in range(count):
        key = files[number % len(files)]
        data = bytearray(run.files[key])
        place = lot.randrange(len(data) * 8)
        data[place // 8] ^= 1 << place % 8
        yield Damage(f"bit {place} of {key} flipped", {key: bytes(data)})


def cuts(run: Original, count: int, seed: int) -> Iterator[Damage]:
    """A file that ends early, is gone, has grown, or has a hole of zeros."""
    lot = random.Random(seed)
    files = [key for key, data in run.files.items() if data]
    for number in range(count):
        key = files[number % len(files)]
        data = run.files[key]
        place = lot.randrange(len(data))
        hole = data[:place] + bytes(min(16, len(data) - place)) + data[place + 16 :]
        ways: dict[str, bytes | None] = {
            f"cut after byte {place}": data[:place],
            "gone": None,
            "empty": b"",
            "longer": data + b"\0",
            f"with a hole at byte {place}": hole,
        }
        what = lot.choice([*ways, f"cut after byte {place}"])
        if ways[what] != data:
            yield Damage(f"{key} is {what}", {key: ways[what]})


def swaps(run: Original) -> Iterator[Damage]:
    """Each file in the place of each other file of the same folder or of the same name."""
    keys = sorted(run.files)
    for number, one in enumerate(keys):
        for other in keys[number + 1 :]:
            (folder, _, name), (other_folder, _, other_name) = one.rpartition("/"), other.rpartition("/")
            near = folder == other_folder and ("/log" not in folder or abs(number - keys.index(other)) < 4)
            if (near or name == other_name) and run.files[one] != run.files[other]:
                yield Damage(f"{one} and {other} swapped", {one: run.files[other], other: run.files[one]})
                yield Damage(f"{one} in place of {other}", {other: run.files[one]})


def judge(run: Original, damage: Damage) -> str:
    """What a reader gets: "as it was" or the error's name.

    Raises:
        AssertionError: he gets something else, or `sojourn verify` with the expected head finds nothing wrong.
    """
    for key, data in damage.files.items():
        run.store.delete(key)
        if data is not None:
            run.store.put(key, data)
    try:
        assert not _verifies(run), f"verify finds nothing: {damage.what}"
        return _read(run)
    finally:
        run.restore(list(damage.files))


def _verifies(run: Original) -> bool:
    try:
        log = RunLog.open(run.store, run.log.prefix)
        return verify_run(log, expect_head=run.log.head).ok
    except SojournError:
        return False


def _read(run: Original) -> str:
    try:
        log = RunLog.open(run.store, run.log.prefix)
    except SojournError as error:
        return type(error).__name__
    assert log.state == run.log.state or log.head.index < run.log.head.index or _differs_in_digest_only(run, log)
    outcome = "as it was"
    for commit in log.state.commits:
        try:
            read = CheckpointReader(run.store, log.prefix, commit).read()
        except CorruptData as error:
            outcome = type(error).__name__
            continue
        expected = sample_tensors(commit.step)
        assert set(read) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(read[name], array)
    for export in log.state.exports:
        try:
            _read_all(run.store, f"{log.prefix}/{export.key}", export.manifest)
        except CorruptData as error:
            outcome = type(error).__name__
    return outcome


def _differs_in_digest_only(run: Original, log: RunLog) -> bool:
    """The newest entry says the same, and only the checksum at its end is damaged."""
    now, then = log.state, run.log.state
    return (now.head.index, now.commits, now.term, now.pins) == (then.head.index, then.commits, then.term, then.pins)


def _read_all(store: Store, folder: str, manifest: str) -> None:
    files = load_file_set(store, folder, manifest)
    for file in files.files:
        for _ in read_verified(store, folder, file, files.chunk_bytes):
            pass
