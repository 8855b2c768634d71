"""What a process does while it is struck: the whole life of a run, as a trainer, a sweep and a move perform it.

The stores are folders below one `world`. A story tells what it was promised (a method of the product returned) through
`tell`, so that whoever comes after the strike can hold the product to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crash import examine
from helpers.runs import Clock, add_export, commit_step, trained_run
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.sweep import sweep, sweep_interrupted
from sojourn.runlog import log as runlog
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Recipient
from sojourn.runlog.runs import create_run, find_run
from sojourn.store import posix
from sojourn.store.posix import PosixStore
from sojourn.transfer import Destination, TransferProgress, copy_run, move_run

_OFTEN = 6
"""Entries between two snapshots, in a story about them."""

LIVE: list[RunLog] = []
"""The logs on which a story trained in this process, the newest last."""

Tell = Callable[[str], None]
Ending = Callable[[Path, list[str]], None]


class Story(Protocol):
    """A program for a struck process, and what must hold afterwards."""

    @property
    def name(self) -> str: ...

    def prepare(self, world: Path) -> None:
        """What there is before; nothing strikes here."""
        ...

    def play(self, world: Path, tell: Tell) -> None: ...

    @property
    def endings(self) -> tuple[Ending, ...]:
        """Ways to go on; each begins with the world as it was struck, and asserts. They get what was told."""
        ...


def here(world: Path) -> PosixStore:
    return PosixStore(world / "here")


def there(world: Path) -> PosixStore:
    return PosixStore(world / "there")


def later() -> Clock:
    """The clock of a process that comes after another one: its ids are others."""
    return Clock(ids=itertools.count(1_000_000))


@dataclass(frozen=True)
class Train:
    """A run from nothing: attempts, checkpoints, retention, an export, a pin, a fence and its takeover."""

    name: str = "train"

    def prepare(self, world: Path) -> None:
        pass

    def play(self, world: Path, tell: Tell) -> None:
        clock = Clock()
        log = create_run(here(world), examine.CREATED, clock.env())
        tell("created")
        _train(log, clock, "first", (10, 20, 30), tell)
        _train(log, clock, "second", (40, 50), tell)
        add_export(log, 1)
        latest = log.state.commits[-1]
        log.unpin(log.pin([latest.checkpoint], holder="a server", until=None))
        heir = Recipient(run_id="heir", run="local/heir", store="file:///elsewhere")
        log.fence(
            expected_term=log.state.term,
            expected_commit=latest.manifest,
            recipient=heir,
            migration_id="lost",
        )
        tell("fenced")
        log.takeover(fence=log.state.fence_digest, reason="the heir is lost", person="ada")
        tell("taken over")
        _train(log, clock, "third", (60,), tell)

    @property
    def endings(self) -> tuple[Ending, ...]:
        return (self._begin_again,)

    def _begin_again(self, world: Path, told: list[str]) -> None:
        store = here(world)
        examine.every_run_is_whole(store)
        examine.promises_are_kept(store, told)
        log = create_run(store, examine.CREATED, later().env())
        if log.state.fence:
            assert "taken over" not in told
            examine.is_refused(log)
            log.takeover(fence=log.state.fence_digest, reason="the heir is lost", person="ada")
        examine.goes_on(log)


@dataclass(frozen=True)
class Snapshots:
    """A log whose state does not fit into an entry, across several snapshots."""

    name: str = "snapshots"

    def prepare(self, world: Path) -> None:
        clock = Clock()
        runlog.SNAPSHOT_EVERY = _OFTEN
        log = trained_run(here(world), clock.env(), steps=(10,))
        for number in range(36):
            keys = [log.state.commits[0].checkpoint]
            log.pin(keys, holder=f"reader {number} {'x' * 3000}", until=None)
        assert len(log.state.state_files) == 2

    def play(self, world: Path, tell: Tell) -> None:
        clock = Clock(ids=itertools.count(500))
        runlog.SNAPSHOT_EVERY = _OFTEN
        log = find_run(here(world), "digits", env=clock.env())
        _train(log, clock, "long", (20, 30, 40), tell)

    @property
    def endings(self) -> tuple[Ending, ...]:
        return (self._begin_again,)

    def _begin_again(self, world: Path, told: list[str]) -> None:
        store = here(world)
        runlog.SNAPSHOT_EVERY = _OFTEN
        examine.every_run_is_whole(store)
        examine.promises_are_kept(store, told)
        examine.goes_on(find_run(store, "digits", env=later().env()))


@dataclass(frozen=True)
class Move:
    """A run is handed over to another store and trains on there.

    Args:
        broken: the hand-over was begun and broken off before, so half of the bytes are there.
    """

    broken: bool = False

    @property
    def name(self) -> str:
        return "move again" if self.broken else "move"

    def prepare(self, world: Path) -> None:
        source = trained_run(here(world), Clock().env())
        if self.broken:
            try:
                move_run(source, Destination(there(world)), env=Clock(ids=itertools.count(300)).env(), on_progress=_cut)
            except _CutError:
                return

    def play(self, world: Path, tell: Tell) -> None:
        clock = Clock(ids=itertools.count(500))
        source = find_run(here(world), "digits", env=clock.env())
        child = move_run(source, Destination(there(world)), env=clock.env()).child
        tell("moved")
        _train(child, clock, "there", (40,), tell)

    @property
    def endings(self) -> tuple[Ending, ...]:
        return (self._move_again, self._train_at_the_source)

    def _move_again(self, world: Path, told: list[str]) -> None:
        examine.every_run_is_whole(here(world))
        examine.every_run_is_whole(there(world))
        examine.promises_are_kept(there(world), told)
        source = find_run(here(world), "digits", env=later().env())
        child = move_run(source, Destination(there(world)), env=later().env()).child
        examine.is_refused(source)
        examine.goes_on(child)
        examine.nothing_temporary(here(world))

    def _train_at_the_source(self, world: Path, told: list[str]) -> None:
        source = find_run(here(world), "digits", env=later().env())
        if source.state.fence:
            examine.is_refused(source)
            return
        assert "moved" not in told
        examine.has_no_run(there(world))
        examine.goes_on(source)


class _CutError(Exception):
    pass


def _cut(progress: TransferProgress) -> None:
    if progress.done * 2 > progress.total:
        raise _CutError


@dataclass(frozen=True)
class Copy:
    """A run is copied; both go on. `adopt`: within one store, where the checkpoints stay where they are."""

    adopt: bool = False

    @property
    def name(self) -> str:
        return "adopt" if self.adopt else "copy"

    def _store(self, world: Path) -> PosixStore:
        return here(world) if self.adopt else there(world)

    def _to(self, world: Path) -> Destination:
        return Destination(self._store(world), namespace="team" if self.adopt else "local")

    def prepare(self, world: Path) -> None:
        trained_run(here(world), Clock().env())

    def play(self, world: Path, tell: Tell) -> None:
        clock = Clock(ids=itertools.count(500))
        child = copy_run(find_run(here(world), "digits", env=clock.env()), self._to(world), env=clock.env()).child
        tell("copied")
        _train(child, clock, "there", (40,), tell)

    @property
    def endings(self) -> tuple[Ending, ...]:
        return (self._copy_again,)

    def _copy_again(self, world: Path, told: list[str]) -> None:
        examine.every_run_is_whole(here(world))
        examine.every_run_is_whole(there(world))
        to = self._to(world)
        if "copied" in told:
            examine.promises_are_kept(self._store(world), told, to.namespace)
        source = find_run(here(world), "digits", env=later().env())
        child = copy_run(source, to, env=later().env()).child
        examine.goes_on(child)
        # Nothing that the child goes on from may go when the source's own retention passes over it.
        examine.goes_on(source)
        examine.every_run_is_whole(self._store(world))


@dataclass(frozen=True)
class Careless(Train):
    """A writer that does not sync its folders: what shows that a power cut would be noticed."""

    name: str = "careless"

    def play(self, world: Path, tell: Tell) -> None:
        posix._sync_folder = lambda folder: None
        super().play(world, tell)


STORIES: tuple[Story, ...] = (Train(), Snapshots(), Move(), Move(broken=True), Copy(), Copy(adopt=True))

ALL = (*STORIES, Careless())


def _train(log: RunLog, clock: Clock, attempt: str, steps: tuple[int, ...], tell: Tell) -> None:
    """As a trainer does: shut others out, sweep, restore, then save, commit and retire."""
    LIVE.append(log)
    term = log.begin_attempt(attempt, {"workers": 2})
    tell(f"attempt {attempt}")
    sweep_interrupted(log)
    if log.state.latest:
        CheckpointReader(log.store, log.prefix, log.state.latest).read(streams=1)
    for step in steps:
        commit_step(log, step)
        tell(f"committed {step}")
        sweep(log, examine.KEEP, term=term, now=clock.time)
