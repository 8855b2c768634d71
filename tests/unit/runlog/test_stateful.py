"""Several writers of one run on a store that lies: whatever they do in whatever order, the log keeps its rules."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from helpers.logs import PREFIX, account, created, digest, info, liar
from helpers.runs import Clock
from sojourn.errors import NotFound, Refused, StoreError
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import ExportInfo, Recipient
from sojourn.runlog.verify import verify_chain
from sojourn.store.memory import MemoryStore

WRITERS = 3
writers = st.integers(0, WRITERS - 1)


class LogMachine(RuleBasedStateMachine):
    """Each writer holds his own view of the log, as old as it may be, and what he was told he achieved."""

    def __init__(self) -> None:
        super().__init__()
        self.truth = MemoryStore()
        self.clock = Clock()
        self.serial = itertools.count()
        self.terms: dict[int, tuple[int, str]] = {}
        self.promised: dict[str, set[Any]] = {"attempt": set(), "commit": set(), "pin": set(), "fence": set()}

    @initialize(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.3, 0.6]))
    def begin(self, seed: int, share: float) -> None:
        RunLog.create(self.truth, PREFIX, created(), self.clock.env())
        self.store = liar(self.truth, seed, share)
        self.logs = [RunLog.open(self.truth, PREFIX, env=self.clock.env()) for _ in range(WRITERS)]
        for log in self.logs:
            log.store = self.store

    @rule(who=writers)
    def attempt(self, who: int) -> None:
        name = f"attempt-{next(self.serial)}"
        try:
            term = self.logs[who].begin_attempt(name)
        except (Refused, StoreError):
            return
        self.terms[who] = (term, name)
        self.promised["attempt"].add((term, name))

    @precondition(lambda self: self.terms)
    @rule(who=writers, repeat=st.booleans())
    def commit(self, who: int, repeat: bool) -> None:
        if who not in self.terms:
            return
        term, attempt = self.terms[who]
        checkpoint = info(next(self.serial))
        for _ in range(2 if repeat else 1):
            try:
                commit = self.logs[who].commit(term=term, attempt_id=attempt, commit=checkpoint)
            except (Refused, StoreError):
                continue
            assert (commit.term, commit.attempt_id, commit.step) == (term, attempt, checkpoint.step)
            self.promised["commit"].add(checkpoint.checkpoint)

    @precondition(lambda self: self.terms)
    @rule(who=writers, which=st.integers(0, 5))
    def retire(self, who: int, which: int) -> None:
        log = self.logs[who]
        if who in self.terms and log.state.commits:
            commit = log.state.commits[which % len(log.state.commits)]
            try:
                log.retire(term=self.terms[who][0], keys=[commit.checkpoint])
            except (Refused, StoreError):
                return
            assert commit.checkpoint not in [left.checkpoint for left in log.state.commits]

    @rule(who=writers, which=st.integers(0, 5), hours=st.none() | st.integers(1, 3))
    def pin(self, who: int, which: int, hours: int | None) -> None:
        log = self.logs[who]
        if log.state.commits:
            key = log.state.commits[which % len(log.state.commits)].checkpoint
            until = self.clock.time + timedelta(hours=hours) if hours else None
            try:
                self.promised["pin"].add(log.pin([key], holder="h", until=until))
            except (Refused, StoreError, NotFound):
                return

    @rule(who=writers)
    def unpin(self, who: int) -> None:
        log = self.logs[who]
        if log.state.pins:
            try:
                log.unpin(log.state.pins[0].pin_id)
            except StoreError:
                return

    @rule(who=writers, version=st.integers(1, 3))
    def export(self, who: int, version: int) -> None:
        key = f"export/{version}"
        try:
            self.logs[who].export(ExportInfo(version=version, key=key, manifest=digest(key), step=1))
        except (Refused, StoreError):
            return

    @rule(who=writers, refresh=st.booleans())
    def fence(self, who: int, refresh: bool) -> None:
        log = self.logs[who]
        migration = f"m{next(self.serial)}"
        try:
            state = log.refresh() if refresh else log.state
            newest = state.latest.manifest if state.latest else ""
            log.fence(
                expected_term=state.term,
                expected_commit=newest,
                recipient=Recipient(run_id="elsewhere"),
                migration_id=migration,
            )
        except (Refused, StoreError):
            return
        assert (log.state.term, (log.state.latest and log.state.latest.manifest) or "") == (state.term, newest)
        self.promised["fence"].add(migration)

    @rule(who=writers, here=st.booleans())
    def takeover(self, who: int, here: bool) -> None:
        log = self.logs[who]
        to = None if here else Recipient(run_id="a third")
        try:
            log.takeover(fence=log.state.fence_digest, reason="r", person="p", recipient=to)
        except (Refused, StoreError):
            return

    @rule(who=writers)
    def many_pins(self, who: int) -> None:
        """Enough entries for the next snapshot to come."""
        log = self.logs[who]
        for _ in range(25):
            try:
                log.unpin(log.pin([], holder="h", until=None))
            except StoreError:
                continue

    @rule()
    def late_requests_arrive(self) -> None:
        self.store.land_late()

    @rule(hours=st.integers(1, 400))
    def time_passes(self, hours: int) -> None:
        self.clock.forward(hours=hours)

    @rule(who=writers)
    def look_again(self, who: int) -> None:
        try:
            self.logs[who].refresh()
        except StoreError:
            return

    @rule(who=writers)
    def restart(self, who: int) -> None:
        log = RunLog.open(self.truth, PREFIX, env=self.clock.env())
        log.store = self.store
        self.logs[who] = log

    @invariant()
    def what_was_promised_is_there_once(self) -> None:
        if not hasattr(self, "logs"):
            return
        entries = account(self.truth)
        said = {
            "attempt": [(entry["term"], entry["attemptId"]) for entry in entries if entry["type"] == "attempt"],
            "commit": [entry["checkpoint"] for entry in entries if entry["type"] == "commit"],
            "pin": [entry["pinId"] for entry in entries if entry["type"] == "pin"],
            "fence": [entry["migrationId"] for entry in entries if entry["type"] == "fence"],
        }
        for kind, promised in self.promised.items():
            assert promised <= set(said[kind])
            assert len(said[kind]) == len(set(said[kind]))

    def teardown(self) -> None:
        if hasattr(self, "logs"):
            self.store.land_late()
            account(self.truth)
            verify_chain(RunLog.open(self.truth, PREFIX))


LogMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, derandomize=True)
TestLog = LogMachine.TestCase
