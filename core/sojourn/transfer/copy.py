"""Copies a run into another store (or the same one) as an independent child; the source goes on.

Files come first and the child's log last: it exists when it is complete, and an interrupted copy, asked for again,
brings over only what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sojourn.checkpoint.sweep import adopter
from sojourn.checkpoint.verify import verify_checkpoint
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import create_run, run_prefix
from sojourn.store.base import PartialStore, Store
from sojourn.transfer.bases import find_bases
from sojourn.transfer.fetch import CopyReport, OnProgress, Watchers, execute, silent
from sojourn.transfer.offer import make_offer
from sojourn.transfer.plan import (
    Carry,
    Child,
    Choice,
    Origin,
    choose,
    copy_id,
    created_entry,
    manifests,
    plan_files,
)

PIN_TIME = timedelta(hours=24)
_STREAMS = 8


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a run is to go; name and namespace are the source's own where they are empty."""

    store: Store
    name: str = ""
    namespace: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class TransferResult:
    """The new run, and what it took: `copied_bytes` were sent, `reused_bytes` were there and verified."""

    child: RunLog
    copied_files: int
    copied_bytes: int
    reused_bytes: int
    adopted: bool


def copy_run(
    source: RunLog,
    to: Destination,
    *,
    choice: Choice = "All",
    env: Env | None = None,
    on_progress: OnProgress = silent,
) -> TransferResult:
    """Copy a run with its checkpoints, exports, job and code. The same copy of the same state is made once.

    Raises:
        InvalidInput: it is to go into its own store under its own name.
        CorruptData: the source is damaged; nothing became visible in the target.
        StoreError: a store failed, or the target has no room; ask again to go on.
    """
    env = env or Env()
    state = source.refresh()
    name, namespace = to.name or state.name, to.namespace or state.namespace
    adopt = source.store.uri == to.store.uri
    if adopt and (name, namespace) == (state.name, state.namespace):
        raise InvalidInput(
            f"{source.store.uri} holds {namespace}/{name} already", hint="Give the copy another name or namespace."
        )
    origin = Origin(source.store.uri, source.prefix, state)
    child = Child(copy_id(origin, to.store.uri, name, namespace), name, namespace)
    existing = find_child(to.store, child, env)
    if existing is not None:
        source.unpin(_pin_of(child))  # whoever made it may have ended before he could
        return TransferResult(existing, 0, 0, 0, adopt)
    carry = choose(state, choice)
    with pinned(source, carry, child, to.store, env):
        report = bring(source, to.store, run_prefix(name, child.run_id, namespace), carry, on_progress)
        if adopt:
            pin_adopted(source, carry, child, env)
        log = create_run(to.store, created_entry(origin, carry, child, adopt=adopt), env)
    return TransferResult(log, report.copied_files, report.copied_bytes, report.reused_bytes, adopt)


def find_child(target: Store, child: Child, env: Env) -> RunLog | None:
    """The child's log, if it was begun already."""
    try:
        return RunLog.open(target, run_prefix(child.name, child.run_id, child.namespace), env=env)
    except NotFound:
        return None


def _pin_of(child: Child) -> str:
    return f"transfer-{child.run_id}"


@contextmanager
def pinned(source: RunLog, carry: Carry, child: Child, target: Store, env: Env) -> Iterator[None]:
    """Hold what is carried while it is copied. A copy that is killed holds it for a day, not for ever."""
    if not carry.keys:
        yield
        return
    holder = f"transfer to {target.uri}"
    pin_id = source.pin(carry.keys, holder=holder, until=env.now() + PIN_TIME, pin_id=_pin_of(child))
    yield
    source.unpin(pin_id)


def pin_adopted(source: RunLog, carry: Carry, child: Child, env: Env) -> None:
    """Keep adopted checkpoints for good, in the log of each run whose folder holds them."""
    for holder in {commit.run or source.prefix for commit in carry.commits}:
        keys = [commit.checkpoint for commit in carry.commits if (commit.run or source.prefix) == holder]
        log = source if holder == source.prefix else RunLog.open(source.store, holder, env=env)
        log.pin(keys, holder=adopter(child.run_id), until=None, pin_id=child.run_id)


def bring(source: RunLog, target: Store, prefix: str, carry: Carry, on_progress: OnProgress) -> CopyReport:
    """Make everything that is carried complete and verified below `prefix` in the target.

    In the source's own store checkpoints stay where they are and are only verified.

    Raises:
        CorruptData: stored bytes of the source do not match their digests.
        StoreError: a store failed, or the target has no room.
    """
    adopt = target.uri == source.store.uri
    if adopt:
        verify_in_place(source, carry)
    streams = min(_STREAMS, max(source.store.concurrency, target.concurrency))
    offer = make_offer(source, carry)
    folders = offer.folder_copies(prefix, adopt=adopt)
    plan = plan_files(folders, prefix, {info.key: info.size for info in target.list(prefix)})
    # Where reading the target is a request over the network, the source at hand is nearer.
    bases = find_bases(target, offer, prefix) if isinstance(target, PartialStore) else None
    return execute(source.store, target, plan, manifests(folders), Watchers(on_progress), streams, bases)


def verify_in_place(source: RunLog, carry: Carry) -> None:
    """Check checkpoints where they lie. Raises CorruptData."""
    for commit in carry.commits:
        report = verify_checkpoint(source.store, source.prefix, commit)
        if not report.ok:
            raise CorruptData(report.problems[0].message)
