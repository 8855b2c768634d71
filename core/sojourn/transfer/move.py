"""Moves a run into another store: copy, verify, fence the source, begin the child there.

The fence is the single moment of hand-over. Before it an interruption leaves a source that can go on; after it the
fence names the recipient, and asking again completes him. At no time are there two owners.
"""

from __future__ import annotations

from dataclasses import dataclass

from sojourn.errors import Refused
from sojourn.runlog.env import Env
from sojourn.runlog.errors import MovedOn
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Recipient
from sojourn.runlog.runs import create_run, run_prefix
from sojourn.runlog.state import RunState
from sojourn.transfer.copy import (
    PIN_TIME,
    Destination,
    TransferResult,
    bring,
    find_child,
    pin_adopted,
)
from sojourn.transfer.fetch import CopyReport, OnProgress, silent
from sojourn.transfer.plan import Carry, Child, Origin, choose, created_entry

_ROUNDS = 3
_PIN = "move-"


@dataclass(frozen=True, slots=True)
class _Move:
    """One hand-over under way: what is moved, whither, under which migration id, as which child."""

    source: RunLog
    to: Destination
    migration_id: str
    child: Child
    env: Env

    @property
    def prefix(self) -> str:
        return run_prefix(self.child.name, self.child.run_id, self.child.namespace)

    @property
    def adopt(self) -> bool:
        return self.source.store.uri == self.to.store.uri

    @property
    def recipient(self) -> Recipient:
        return Recipient(run_id=self.child.run_id, run=self.prefix, store=self.to.store.uri, cluster=self.to.cluster)


def move_run(
    source: RunLog,
    to: Destination,
    *,
    migration_id: str = "",
    env: Env | None = None,
    on_progress: OnProgress = silent,
) -> TransferResult:
    """Hand a run over. Asked again after an interruption, it goes on where it stopped.

    Stop the run's training first: what it commits after the last look at it makes the fence fail.

    Args:
        migration_id: names the hand-over in both logs; made up if empty.

    Raises:
        Fenced: the run was handed over to somebody else.
        MovedOn: the run goes on training and commits faster than it is copied.
        CorruptData: the source is damaged; it was not fenced.
        StoreError: a store failed, or the target has no room; ask again to go on.
    """
    env = env or Env()
    state = source.refresh()
    if state.fence is not None:
        return _complete(source, to, state, env, on_progress)
    move = _begin(source, to, migration_id, state, env)
    for _ in range(_ROUNDS - 1):
        try:
            return _hand_over(move, on_progress)
        except MovedOn:
            # A checkpoint was committed meanwhile: bring that one over too. A new attempt is no reason to try again:
            # somebody wants to train here.
            if source.refresh().term != state.term:
                raise
    return _hand_over(move, on_progress)


def _begin(source: RunLog, to: Destination, migration_id: str, state: RunState, env: Env) -> _Move:
    """A new hand-over, or the one that was interrupted before its fence: the pin remembers the child's id."""
    name, namespace = to.name or state.name, to.namespace or state.namespace
    child = Child(env.new_id(), name, namespace)
    for pin in state.pins:
        if pin.holder == _holder(to, name, namespace) and pin.pin_id.startswith(_PIN):
            earlier = Child(pin.pin_id.removeprefix(_PIN), name, namespace)
            # One that has begun although nothing is fenced was given up by a takeover.
            child = earlier if find_child(to.store, earlier, env) is None else child
    return _Move(source, to, migration_id or child.run_id, child, env)


def _hand_over(move: _Move, on_progress: OnProgress) -> TransferResult:
    source = move.source
    state = source.refresh()
    carry = choose(state, "Needed")
    if carry.keys:
        holder = _holder(move.to, move.child.name, move.child.namespace)
        source.pin(carry.keys, holder=holder, until=move.env.now() + PIN_TIME, pin_id=_PIN + move.child.run_id)
    report = bring(source, move.to.store, move.prefix, carry, on_progress)
    if move.adopt:
        pin_adopted(source, carry, move.child, move.env)
    source.fence(
        expected_term=state.term,
        expected_commit=state.latest.manifest if state.latest else "",
        recipient=move.recipient,
        migration_id=move.migration_id,
    )
    return _begin_child(move, carry, report)


def _complete(source: RunLog, to: Destination, state: RunState, env: Env, on_progress: OnProgress) -> TransferResult:
    """Go on behind the fence: the recipient that it names is there, or is made now from what was verified for it."""
    fence = state.fence
    if fence is None or state.fenced_to != fence.recipient:
        source.refuse_if_fenced()
        raise Refused(f"the fence of {source.prefix} was overridden while it was looked at", hint="Ask again.")
    namespace, _, folder = fence.recipient.run.rpartition("/")
    name = folder.removesuffix(f"-{fence.recipient.run_id}")
    child = Child(fence.recipient.run_id, to.name or name, to.namespace or namespace)
    move = _Move(source, to, fence.migration_id, child, env)
    if (fence.recipient.store, fence.recipient.run) != (to.store.uri, move.prefix):
        source.refuse_if_fenced()
    existing = find_child(to.store, child, env)
    if existing is not None:
        source.unpin(_PIN + child.run_id)
        return TransferResult(existing, 0, 0, 0, move.adopt)
    carry = choose(state, "Needed")
    report = bring(source, to.store, move.prefix, carry, on_progress)
    if move.adopt:
        pin_adopted(source, carry, child, env)
    return _begin_child(move, carry, report)


def _begin_child(move: _Move, carry: Carry, report: CopyReport) -> TransferResult:
    source = move.source
    origin = Origin(source.store.uri, source.prefix, source.state, source.state.fence_digest)
    log = create_run(move.to.store, created_entry(origin, carry, move.child, adopt=move.adopt), move.env)
    source.unpin(_PIN + move.child.run_id)
    return TransferResult(log, report.copied_files, report.copied_bytes, report.reused_bytes, move.adopt)


def _holder(to: Destination, name: str, namespace: str) -> str:
    return f"move to {to.store.uri} as {namespace}/{name}"
