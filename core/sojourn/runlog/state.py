"""What a run's log amounts to: a pure fold over its entries, and the rules that each of them must keep.

Writers refuse (refusals.py) what would break a rule, with the state up to the entry before theirs; readers treat a
broken rule as corruption, since no correct writer can have landed it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sojourn.errors import CorruptData
from sojourn.runlog.entries import Entry, Head
from sojourn.runlog.records import (
    Attempt,
    Body,
    Commit,
    CommitInfo,
    Created,
    Export,
    ExportInfo,
    Fence,
    KeepBest,
    Parent,
    Pin,
    Recipient,
    Retire,
    Snapshot,
    Takeover,
    Unpin,
)

RETIRED_KEPT = 200
EXPIRED_PINS_KEPT = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class RunState:
    """A run as its log describes it.

    Args:
        created: entry 0.
        head: the newest entry.
        snapshot: index of the newest snapshot entry; 0 if there is none.
        term: the newest attempt's term.
        attempt: the newest attempt, or None before the first.
        commits: checkpoints that exist, in the order of the log (after a rollback steps can go down).
        exports: exports that exist.
        pins: pins that were not taken back; expired ones are dropped a week later.
        retired: keys of the last 200 checkpoints and exports that were retired.
        fence: the fence in force, with its digest in `fence_digest`.
        fenced_to: who goes on with the run instead (after a takeover, its recipient).
        attempts: how many attempts were made.
        commits_made: how many checkpoints were committed, retired ones included.
        last_export: the highest version that was exported, retired ones included.
        state_files: the files beside the log that hold the two newest large snapshots.
    """

    created: Created
    head: Head
    snapshot: int = 0
    term: int = 0
    attempt: Attempt | None = None
    commits: tuple[Commit, ...] = ()
    exports: tuple[Export, ...] = ()
    pins: tuple[Pin, ...] = ()
    retired: tuple[str, ...] = ()
    fence: Fence | None = None
    fence_digest: str = ""
    fenced_to: Recipient | None = None
    attempts: int = 0
    commits_made: int = 0
    last_export: int = 0
    state_files: tuple[str, ...] = ()

    @property
    def run_id(self) -> str:
        return self.created.run_id

    @property
    def name(self) -> str:
        return self.created.name

    @property
    def namespace(self) -> str:
        return self.created.namespace

    @property
    def parent(self) -> Parent | None:
        return self.created.parent

    @property
    def attempt_id(self) -> str:
        """Id of the newest attempt, or "" before the first."""
        return self.attempt.attempt_id if self.attempt else ""

    @property
    def latest(self) -> Commit | None:
        """The newest checkpoint that exists: the one from which the run goes on."""
        return self.commits[-1] if self.commits else None

    @property
    def keep_best(self) -> KeepBest | None:
        return self.created.keep_best

    def commit_at(self, step: int) -> Commit | None:
        """The newest existing checkpoint of that step."""
        return next((commit for commit in reversed(self.commits) if commit.step == step), None)

    def pinned(self, now: datetime) -> dict[str, Pin]:
        """What must not be collected: key to one of the pins that hold it."""
        return {key: pin for pin in self.pins if pin.holds_at(now) for key in pin.keys}


def first(entry: Entry) -> RunState:
    """The state after entry 0. Raises CorruptData if that is no `created`."""
    created = entry.body
    if not isinstance(created, Created):
        raise CorruptData(f"a log begins with a created entry, not with {entry.type}")
    term = created.parent.term if created.parent else 0
    came = (*created.carried, *([created.start] if created.start else []))
    commits = tuple(
        Commit(**_fields(CommitInfo, info), term=term, attempt_id="", index=0, time=created.time) for info in came
    )
    exports = tuple(Export(**_fields(ExportInfo, info), index=0, time=created.time) for info in created.exports)
    return RunState(
        created=created,
        head=entry.head,
        term=term,
        commits=commits,
        exports=exports,
        commits_made=len(commits),
        last_export=max((export.version for export in exports), default=0),
    )


def _fields(cls: type[CommitInfo] | type[ExportInfo], info: CommitInfo | ExportInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in cls.__dataclass_fields__}


def apply(state: RunState, entry: Entry) -> RunState:
    """The state after one more entry.

    Raises:
        CorruptData: the entry does not follow the one before it, or breaks a rule of the log.
    """
    if (entry.index, entry.prev) != (state.head.index + 1, state.head.digest):
        raise CorruptData(
            f"entry {entry.index} of run {state.created.run_id} does not follow entry {state.head.index}: "
            f"it names {entry.prev}, the stored bytes have {state.head.digest}",
            hint="The log was changed after it was written. Look for a copy of the run in another store.",
        )
    if entry.snapshot != state.snapshot:
        raise CorruptData(f"entry {entry.index} names {entry.snapshot} as the newest snapshot, not {state.snapshot}")
    return _say(replace(state, head=entry.head), entry.body, entry.digest)


def _say(state: RunState, body: Body, digest: str) -> RunState:  # noqa: PLR0911
    _hold_to_rules(state, body)
    match body:
        case Attempt():
            return replace(state, term=body.term, attempt=body, attempts=state.attempts + 1)
        case Commit():
            return replace(state, commits=(*state.commits, body), commits_made=state.commits_made + 1)
        case Export():
            last = max(state.last_export, body.version)
            return replace(state, exports=(*state.exports, body), last_export=last)
        case Pin():
            return replace(state, pins=(*(pin for pin in state.pins if pin.pin_id != body.pin_id), body))
        case Unpin():
            return replace(state, pins=tuple(pin for pin in state.pins if pin.pin_id != body.pin_id))
        case Retire():
            return _retire(state, body)
        case Fence():
            return replace(state, fence=body, fence_digest=digest, fenced_to=body.recipient)
        case Takeover():
            if body.recipient.run_id == state.run_id:
                return replace(state, fence=None, fence_digest="", fenced_to=None)
            return replace(state, fenced_to=body.recipient)
        case Snapshot():
            return _after_snapshot(state, body)
        case Created():
            raise CorruptData(f"entry {body.index} of run {state.run_id} is a second created entry")


def _hold_to_rules(state: RunState, body: Body) -> None:
    broken = ""
    if state.fence and not isinstance(body, Pin | Unpin | Retire | Snapshot | Takeover):
        broken = "it follows a fence"
    elif isinstance(body, Attempt) and body.term != state.term + 1:
        broken = f"its term is {body.term} where {state.term + 1} is next"
    elif isinstance(body, Commit) and (body.term, body.attempt_id) != (state.term, state.attempt_id):
        broken = f"it is of term {body.term}, and attempt {state.attempt_id!r} holds {state.term}"
    elif isinstance(body, Retire | Fence) and body.term != state.term:
        broken = f"it is of term {body.term}, and the newest is {state.term}"
    elif isinstance(body, Fence) and body.manifest != (state.latest.manifest if state.latest else ""):
        broken = "it was decided on a commit that is not the newest"
    elif isinstance(body, Takeover) and body.fence != state.fence_digest:
        broken = "it overrides a fence that is not in force"
    if broken:
        kind = type(body).__name__.lower()
        raise CorruptData(f"entry {body.index} of run {state.run_id} ({kind}) breaks the log's rules: {broken}")


def _retire(state: RunState, body: Retire) -> RunState:
    gone = set(body.keys)
    return replace(
        state,
        commits=tuple(commit for commit in state.commits if commit.checkpoint not in gone),
        exports=tuple(export for export in state.exports if export.key not in gone),
        retired=(*state.retired, *body.keys)[-RETIRED_KEPT:],
    )


def _after_snapshot(state: RunState, body: Snapshot) -> RunState:
    # A pin that expired long ago by its own entry's clock and the snapshot's is only ballast.
    limit = body.time - EXPIRED_PINS_KEPT
    return replace(
        state,
        snapshot=body.index,
        pins=tuple(pin for pin in state.pins if pin.holds_at(limit)),
        state_files=(*state.state_files, body.key)[-2:] if body.key else state.state_files,
    )
