"""What may be appended to a run's log in which state, and what a person reads when it may not (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sojourn.errors import InvalidInput, NotFound, Refused
from sojourn.runlog.entries import is_digest
from sojourn.runlog.errors import Fenced, MovedOn, Pinned, StaleTerm
from sojourn.runlog.records import CommitInfo, Recipient
from sojourn.runlog.state import RunState
from sojourn.store.keys import check_key


def refuse_fenced(state: RunState) -> None:
    """Raise Fenced, saying where the run went, if it was handed over."""
    if state.fence is None or state.fenced_to is None:
        return
    to = state.fenced_to
    raise Fenced(
        f"run {label(state)} was handed over to {whereabouts(to)} by migration {state.fence.migration_id} "
        f"on {state.fence.time:%Y-%m-%d %H:%M:%S} UTC, at step {state.fence.step}",
        hint="Go on there. To bring it back, move it from there to here; if that side is lost for good, "
        f"order a takeover of the fence {state.fence_digest}, which is recorded in the log.",
    )


def refuse_outdated(state: RunState, term: int, attempt_id: str | None = None) -> None:
    """Raise StaleTerm unless `term` (and `attempt_id`, where given) is the newest attempt's."""
    if term == state.term and attempt_id in (None, state.attempt_id):
        return
    newest = state.attempt
    since = f" since {newest.time:%Y-%m-%d %H:%M:%S} UTC" if newest else ""
    raise StaleTerm(
        f"attempt {attempt_id or ''} (term {term}) of run {label(state)} is outdated: attempt {state.attempt_id} "
        f"holds term {state.term}{since}".replace("  ", " "),
        hint="Another start of this run is going on. Stop this one; or start it again, which shuts out the other.",
    )


def refuse_moved_on(state: RunState, expected_term: int, expected_manifest: str) -> None:
    """Raise MovedOn if an attempt or a commit came after what a fence was decided on."""
    if state.term != expected_term:
        raise MovedOn(
            f"run {label(state)} cannot be fenced: attempt {state.attempt_id} began (term {state.term}) after the one "
            f"that was transferred (term {expected_term})",
            hint="Stop that attempt, transfer what it committed, and fence again.",
        )
    newest = state.latest.manifest if state.latest else ""
    if newest != expected_manifest:
        step = f"step {state.latest.step}" if state.latest else "none"
        raise MovedOn(
            f"run {label(state)} cannot be fenced: its newest commit ({step}, {newest or 'no manifest'}) is not "
            f"the one that was transferred ({expected_manifest or 'none'})",
            hint="Transfer and verify the newest commit, and fence again.",
        )


def refuse_pinned(state: RunState, keys: Iterable[str], now: datetime) -> None:
    """Raise Pinned if any of `keys` is held by a pin that has not expired."""
    pinned = state.pinned(now)
    for key in keys:
        if pin := pinned.get(key):
            until = f"until {pin.until:%Y-%m-%d %H:%M:%S} UTC" if pin.until else "for good"
            raise Pinned(
                f"{key} of run {label(state)} is held by {pin.holder} {until} (pin {pin.pin_id})",
                hint="Retire it after that reader is done, or unpin it if he is gone.",
            )


def refuse_unknown(state: RunState, keys: Iterable[str]) -> None:
    """Raise NotFound if any of `keys` is neither a checkpoint nor an export that exists."""
    known = {commit.checkpoint for commit in state.commits} | {export.key for export in state.exports}
    for key in keys:
        if key not in known:
            fate = "was retired" if key in state.retired else "does not exist"
            raise NotFound(f"{key} of run {label(state)} {fate}", hint="`sojourn history` lists what there is.")


def refuse_unfenced(state: RunState, fence: str) -> None:
    """Raise Refused unless the fence in force is the one with digest `fence`."""
    if state.fence is None:
        raise Refused(f"run {label(state)} is not fenced, so there is nothing to take over", hint="Just run it.")
    if state.fence_digest != fence:
        raise MovedOn(
            f"the fence of run {label(state)} is {state.fence_digest}, not {fence}",
            hint="Look at the run's history again before you take over.",
        )


def check_commit(info: CommitInfo) -> None:
    """Raise InvalidInput unless the checkpoint's key and digest have their form."""
    if not info.checkpoint.startswith("data/"):
        raise InvalidInput(f"checkpoint key {info.checkpoint!r} does not begin with data/")
    check_key(info.checkpoint)
    check_manifest(info.manifest)


def check_manifest(manifest: str) -> None:
    """Raise InvalidInput unless `manifest` is a digest."""
    if not is_digest(manifest):
        raise InvalidInput(f"{manifest!r} is not a digest of the form blake3:<64 hexadecimal digits>")


def label(state: RunState) -> str:
    """How messages name a run."""
    return f"{state.namespace}/{state.name} ({state.run_id})"


def whereabouts(to: Recipient) -> str:
    """How messages name who goes on with a run."""
    parts = [f"run {to.run or to.run_id}"]
    if to.store:
        parts.append(f"in {to.store}")
    if to.cluster:
        parts.append(f"on cluster {to.cluster}")
    return " ".join(parts)
