"""The source's half of a transfer: what it offers, held while it is wanted, and the fence at the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sojourn.errors import NotFound
from sojourn.runlog.address import select
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Fence, Recipient
from sojourn.runlog.state import RunState
from sojourn.store.base import Store
from sojourn.transfer.offer import Offer, make_offer
from sojourn.transfer.plan import Carry, carry_checkpoint, carry_export, choose

PIN_TIME = timedelta(hours=24)

What = Literal["Run", "Checkpoint", "Export"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a run is to be brought.

    Args:
        what: the run, one checkpoint or one export.
        moves: the run itself goes away: its newest state then, with the best checkpoint and the exports.
        selector: which checkpoint ("latest", "best" or a step).
        export: which export, by version; 0 is the newest.
    """

    what: What = "Run"
    moves: bool = False
    selector: str | int = "latest"
    export: int = 0

    def of(self, state: RunState) -> Carry:
        """What that is in the run's present state. Raises NotFound."""
        if self.what == "Checkpoint":
            return carry_checkpoint(select(state, self.selector))
        if self.what == "Run":
            return choose(state, "Needed" if self.moves else "All")
        for export in reversed(state.exports):
            if self.export in (0, export.version):
                return carry_export(export)
        raise NotFound(
            f"run {state.namespace}/{state.name} has no export {self.export or ''}".rstrip(),
            hint="`sojourn history` lists its exports.",
        )


@dataclass(frozen=True, slots=True)
class Order:
    """A person's order to override the fence with digest `fence`."""

    fence: str
    reason: str
    person: str = ""


class Outgoing:
    """A run that is offered.

    Args:
        transfer: names this transfer for good; a pin of that id holds what is offered.
        address: the store's address for people.
        store_id: the store's own id.
    """

    def __init__(
        self, log: RunLog, selection: Selection, *, transfer: str, address: str, store_id: str, env: Env
    ) -> None:
        self.log = log
        self._selection, self._env = selection, env
        self._transfer, self._address, self._store_id = transfer, address, store_id
        self._last: Offer | None = None
        self._pinned: tuple[str, ...] = ()
        self._pinned_until = env.now()

    @property
    def store(self) -> Store:
        """Where the files are."""
        return self.log.store

    def offer(self) -> Offer:
        """What there is to give now, held for a day at least.

        A copy stays what it was when it was first offered; a run that moves is offered as it is.

        Raises:
            NotFound: there is nothing of that sort.
            CorruptData: the run is damaged.
        """
        state = self.log.refresh()
        carry = self._held(state) or self._selection.of(state)
        if self._last is None or self._changed(self._last, carry, state):
            self._last = make_offer(self.log, carry, store=self._address, store_id=self._store_id)
        self._pin(carry)
        return self._last

    def renew(self) -> None:
        """Hold what was offered for another day, if half of it is over."""
        if self._last:
            self._pin(self._last.carry)

    def override(self, order: Order, recipient: Recipient, migration: str) -> None:
        """Open the run again although it was handed over, on a person's order, so that `fence` can name another heir.

        Asked again, also after that fence was written, it does nothing.

        Raises:
            Fenced: the fence in force is not the one that the order overrides.
        """
        state = self.log.refresh()
        ours = state.fence and (state.fence.migration_id, state.fence.recipient) == (migration, recipient)
        if state.fence is None or ours:
            return
        if state.fence_digest != order.fence:
            self.log.refuse_if_fenced()
        self.log.takeover(fence=order.fence, reason=order.reason, person=order.person)

    def fence(self, *, term: int, manifest: str, recipient: Recipient, migration: str) -> Fence:
        """End the run here. Asked again for the same migration and recipient it gives the fence that is there.

        Args:
            term: the newest term when the other side had verified everything.
            manifest: digest of the newest commit's manifest that it has; "" if there was none.

        Raises:
            MovedOn: an attempt or a commit came after those; nothing was changed.
            Fenced: the run was handed over to somebody else.
        """
        fence = self.log.fence(
            expected_term=term, expected_commit=manifest, recipient=recipient, migration_id=migration
        )
        self.release()
        return fence

    def release(self) -> None:
        """Hold nothing any more."""
        self.log.unpin(self._transfer)
        self._pinned = ()

    def _held(self, state: RunState) -> Carry | None:
        if self._selection.moves:
            return None
        pin = next((pin for pin in state.pins if pin.pin_id == self._transfer), None)
        if pin is None:
            return None
        commits = tuple(commit for commit in state.commits if commit.checkpoint in pin.keys)
        exports = tuple(export for export in state.exports if export.key in pin.keys)
        # Another choice may have been asked for under the same name, or an expired pin's checkpoint may be gone.
        return Carry(commits, exports) if len(commits) + len(exports) == len(pin.keys) else None

    def _changed(self, last: Offer, carry: Carry, state: RunState) -> bool:
        return (last.carry, last.origin.state.term, last.origin.state.fence_digest) != (
            carry,
            state.term,
            state.fence_digest,
        )

    def _pin(self, carry: Carry) -> None:
        fresh = self._pinned_until - self._env.now() > PIN_TIME / 2
        if not carry.keys or (fresh and carry.keys == self._pinned):
            return
        until = self._env.now() + PIN_TIME
        self.log.pin(carry.keys, holder=f"transfer {self._transfer}", until=until, pin_id=self._transfer)
        self._pinned, self._pinned_until = carry.keys, until
