"""A run's commit log: the only truth about which checkpoints exist and who may write.

Every append names the number it is to get and the digest of the entry before, so it lands only on the state that
was looked at; if somebody was faster, his entries are read and the request is judged again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sojourn.errors import CorruptData, InvalidInput, NotFound, Refused, StoreError
from sojourn.runlog import reading
from sojourn.runlog import state as fold
from sojourn.runlog.append import land
from sojourn.runlog.codec import to_json
from sojourn.runlog.entries import MAX_ENTRY_BYTES, Entry, Head, Place, canonical, digest_of, encode, entry_key
from sojourn.runlog.env import Env
from sojourn.runlog.errors import RunExists
from sojourn.runlog.records import (
    Attempt,
    Body,
    Commit,
    CommitInfo,
    Created,
    Export,
    ExportInfo,
    Fence,
    Pin,
    Recipient,
    Retire,
    Snapshot,
    Takeover,
    Unpin,
)
from sojourn.runlog.refusals import (
    check_commit,
    check_manifest,
    label,
    refuse_fenced,
    refuse_moved_on,
    refuse_outdated,
    refuse_pinned,
    refuse_unfenced,
    refuse_unknown,
)
from sojourn.runlog.state import RunState
from sojourn.store.base import Store
from sojourn.store.keys import check_key

SNAPSHOT_EVERY = 100
_KEYS_PER_RETIRE = 200
_log = logging.getLogger(__name__)


class RunLog:
    """One run in one store. Threads may share it.

    Every method that appends raises Fenced, StaleTerm or another Refused when the log forbids it, and StoreError when
    the store fails; after a StoreError the entry may have landed all the same, and calling again is safe: the same
    attempt, checkpoint, export, pin, fence or takeover is never recorded twice.
    """

    def __init__(self, store: Store, prefix: str, state: RunState, env: Env) -> None:
        self.store = store
        self.prefix = prefix
        self._state = state
        self._env = env
        self._lock = threading.RLock()

    @classmethod
    def create(cls, store: Store, prefix: str, created: Created, env: Env | None = None) -> RunLog:
        """Begin a run at `prefix` ("<namespace>/<name>-<runId>").

        Creating the same run again (same ids, names and parent) opens it, so whoever lost an answer may repeat.

        Raises:
            RunExists: another run has this prefix.
        """
        env = env or Env()
        entry, data = encode(created, Place(0, "", 0), env.new_id(), env.now())
        if land(store, entry_key(check_key(prefix), 0), data, env):
            return cls(store, prefix, fold.first(entry), env)
        log = cls.open(store, prefix, env=env)
        if replace(log.state.created, time=created.time) != replace(created, index=0):
            raise RunExists(f"{store.uri}/{prefix} holds another run already ({log.state.run_id})")
        return log

    @classmethod
    def open(cls, store: Store, prefix: str, *, expect_head: Head | None = None, env: Env | None = None) -> RunLog:
        """Open the run at `prefix`, reading its newest snapshot and what came after.

        Raises:
            NotFound: there is no run.
            CorruptData: the log was changed, or does not reach or hold `expect_head`.
        """
        log = cls(store, prefix, reading.load(store, check_key(prefix)), env or Env())
        if expect_head:
            log.check_head(expect_head)
        return log

    @property
    def state(self) -> RunState:
        """The run as of the newest entry that this object has read or written; `refresh` reads on."""
        return self._state

    @property
    def head(self) -> Head:
        """The newest entry known: what to hold on to if the log must not be cut behind one's back."""
        return self._state.head

    def refresh(self) -> RunState:
        """Read what others appended; return the new state."""
        with self._lock:
            self._state = reading.newer(self.store, self.prefix, self._state)
            return self._state

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """The log from entry `start` on, as far as it is known here, its chain checked."""
        return reading.entries(self.store, self.prefix, start, self._state.head.index + 1)

    def check_head(self, expected: Head) -> None:
        """Raise CorruptData unless the log holds the entry `expected`, and everything since follows from it."""
        if expected.index > self.refresh().head.index:
            raise CorruptData(
                f"the log of run {label(self._state)} ends at entry {self.head.index}, before the expected {expected}",
                hint="Its tail was cut off, or this is an old copy of the store.",
            )
        last = None
        for entry in self.entries(expected.index):
            if entry.index == expected.index and entry.head != expected:
                raise CorruptData(f"the log of run {label(self._state)} has {entry.head}, and {expected} was expected")
            last = entry.head
        if last != self.head:
            raise CorruptData(f"the log of run {label(self._state)} was changed while it was read")

    def begin_attempt(self, attempt_id: str, info: dict[str, Any] | None = None) -> int:
        """Begin an attempt and return its term; from then on no older attempt can commit.

        Args:
            attempt_id: names it for good; the newest attempt's own id gives its term again.
            info: JSON about it (hosts, workers, versions).
        """

        def attempt(state: RunState) -> Body | None:
            refuse_fenced(state)
            if state.attempt_id == attempt_id:
                return None
            return Attempt(term=state.term + 1, attempt_id=attempt_id, info=info or {})

        return self._append(attempt).term

    def commit(self, *, term: int, attempt_id: str, commit: CommitInfo) -> Commit:
        """Make a checkpoint exist. Its files must be complete and durable before."""
        check_commit(commit)

        def body(state: RunState) -> Body | None:
            if _find_commit(state, commit.checkpoint):
                return None
            refuse_fenced(state)
            refuse_outdated(state, term, attempt_id)
            fields = {name: getattr(commit, name) for name in CommitInfo.__dataclass_fields__}
            fields["metrics"] = {name: float(value) for name, value in commit.metrics.items()}
            return Commit(**fields, term=term, attempt_id=attempt_id)

        found = _find_commit(self._append(body), commit.checkpoint)
        if found is None or found.manifest != commit.manifest:
            raise Refused(f"{commit.checkpoint} of run {label(self._state)} was committed with another manifest")
        return found

    def export(self, export: ExportInfo, *, term: int | None = None) -> Export:
        """Make an export exist; by an attempt with its `term`, or by an export job without."""
        check_manifest(export.manifest)
        check_key(export.key)

        def body(state: RunState) -> Body | None:
            refuse_fenced(state)
            if term is not None:
                refuse_outdated(state, term)
            taken = _find_export(state, export.version)
            if taken is None:
                fields = {name: getattr(export, name) for name in ExportInfo.__dataclass_fields__}
                return Export(**fields)
            if taken.manifest != export.manifest:
                raise Refused(
                    f"run {label(state)} has an export {export.version} already",
                    hint=f"Export as version {state.last_export + 1}.",
                )
            return None

        found = _find_export(self._append(body), export.version)
        assert found is not None
        return found

    def pin(self, keys: Sequence[str], *, holder: str, until: datetime | None, pin_id: str = "") -> str:
        """Keep checkpoints or exports from being retired, until a time or (None) for good; return the pin's id.

        A pin with the id of an earlier one replaces it.

        Raises:
            NotFound: one of them does not exist (any more).
        """
        if until is not None and until.tzinfo is None:
            raise InvalidInput(f"a pin's end needs a time zone, and {until} has none")
        pin = Pin(pin_id=pin_id or self._env.new_id(), keys=tuple(keys), holder=holder, until=until)

        def body(state: RunState) -> Body | None:
            refuse_unknown(state, keys)
            there = next((other for other in state.pins if other.pin_id == pin.pin_id), None)
            same = there is not None and (there.keys, there.holder, there.until) == (pin.keys, holder, until)
            return None if same else pin

        self._append(body)
        return pin.pin_id

    def unpin(self, pin_id: str) -> None:
        """Take a pin back; nothing happens if it is gone already."""

        def body(state: RunState) -> Body | None:
            return Unpin(pin_id=pin_id) if any(pin.pin_id == pin_id for pin in state.pins) else None

        self._append(body)

    def retire(self, *, term: int, keys: Sequence[str], reason: str = "") -> None:
        """Make checkpoints or exports not exist any more; only after that may their files be deleted.

        Raises:
            Pinned: a reader holds one of them (nothing is retired then).
            StaleTerm: `term` is not the newest.
        """
        for first in range(0, len(keys), _KEYS_PER_RETIRE):
            some = keys[first : first + _KEYS_PER_RETIRE]

            def body(state: RunState, some: Sequence[str] = some) -> Body | None:
                refuse_outdated(state, term)
                refuse_pinned(state, keys, self._env.now())
                existing = _existing(state, some)
                return Retire(term=term, keys=existing, reason=reason) if existing else None

            self._append(body)

    def fence(self, *, expected_term: int, expected_commit: str, recipient: Recipient, migration_id: str) -> Fence:
        """End the run here and name who goes on; the single moment of hand-over.

        Args:
            expected_term: the newest term when the transfer was verified.
            expected_commit: manifest digest of the newest commit that was transferred; "" if there was none.

        Raises:
            MovedOn: an attempt or a commit came after those.
            Fenced: somebody else's hand-over came first.
        """

        def body(state: RunState) -> Body | None:
            fence = state.fence
            if fence and (fence.migration_id, fence.recipient) == (migration_id, recipient):
                return None
            refuse_fenced(state)
            refuse_moved_on(state, expected_term, expected_commit)
            return Fence(
                term=state.term,
                attempt_id=state.attempt_id,
                manifest=expected_commit,
                step=state.latest.step if state.latest else 0,
                recipient=recipient,
                migration_id=migration_id,
            )

        fence = self._append(body).fence
        assert fence is not None
        return fence

    def takeover(self, *, fence: str, reason: str, person: str, recipient: Recipient | None = None) -> None:
        """Override the fence with digest `fence` on a person's order; without a recipient the run goes on here."""

        def body(state: RunState) -> Body | None:
            to = recipient or Recipient(run_id=state.run_id, run=self.prefix, store=self.store.uri)
            refuse_unfenced(state, fence)
            if state.fenced_to == to:
                return None
            return Takeover(fence=fence, reason=reason, person=person, recipient=to)

        self._append(body)

    def refuse_if_fenced(self) -> None:
        """Raise Fenced, saying where the run went and what to do, if the known state is fenced."""
        refuse_fenced(self._state)

    def _append(self, make: Callable[[RunState], Body | None]) -> RunState:
        with self._lock:
            if self._append_one(make):
                self._snapshot_if_due()
            return self._state

    def _append_one(self, make: Callable[[RunState], Body | None]) -> bool:
        """Land what `make` says for the newest state, which is asked again whenever somebody was faster."""
        nonce = self._env.new_id()
        while True:
            state = self._state
            body = self._judge(make)
            if body is None:
                return False
            place = Place(state.head.index + 1, state.head.digest, state.snapshot)
            entry, data = encode(body, place, nonce, self._env.now())
            if land(self.store, entry_key(self.prefix, place.index), data, self._env):
                self._state = fold.apply(state, entry)
                return True
            self.refresh()

    def _judge(self, make: Callable[[RunState], Body | None]) -> Body | None:
        """What to append; neither a refusal nor "nothing to do" is final before it holds for the newest state."""
        before = self._state.head
        try:
            body = make(self._state)
        except (Refused, NotFound):
            if self.refresh().head == before:
                raise
        else:
            if body is not None or self.refresh().head == before:
                return body
        return make(self._state)

    def _snapshot_if_due(self) -> None:
        before = self._state
        try:
            if self._append_one(self._snapshot):
                for key in set(before.state_files) - set(self._state.state_files):
                    self.store.delete(f"{self.prefix}/{key}")
        except StoreError as error:
            # The entry before has landed, which is what was asked for; the next append tries this again.
            _log.warning("no snapshot entry after entry %d of %s: %s", before.head.index, self.prefix, error)

    def _snapshot(self, state: RunState) -> Body | None:
        if state.head.index - state.snapshot < SNAPSHOT_EVERY - 1:
            return None
        content = to_json(state)
        data = canonical(content)
        if len(data) <= MAX_ENTRY_BYTES - 1024:
            return Snapshot(state=content)
        key = f"state/{state.head.index + 1:020}-{self._env.new_id()}.json"
        self.store.put(f"{self.prefix}/{key}", data)
        return Snapshot(key=key, digest=digest_of(data))


def _find_commit(state: RunState, checkpoint: str) -> Commit | None:
    return next((commit for commit in reversed(state.commits) if commit.checkpoint == checkpoint), None)


def _find_export(state: RunState, version: int) -> Export | None:
    return next((export for export in reversed(state.exports) if export.version == version), None)


def _existing(state: RunState, keys: Sequence[str]) -> tuple[str, ...]:
    there = {commit.checkpoint for commit in state.commits} | {export.key for export in state.exports}
    return tuple(key for key in keys if key in there)
