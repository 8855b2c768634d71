"""The target's half of a transfer: which run it will become, its files, and its beginning.

What was offered is kept beside the files until the run begins, so that a fence that was written meanwhile can be
answered although the source is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sojourn.checkpoint.sweep import delete_folder
from sojourn.errors import CorruptData, NotFound, Refused
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Recipient
from sojourn.runlog.runs import create_run, run_prefix
from sojourn.store.base import KeyMissing, Store
from sojourn.store.posix import PosixStore
from sojourn.transfer.bases import find_bases
from sojourn.transfer.copy import find_child, pin_adopted, verify_in_place
from sojourn.transfer.fetch import NOBODY, CopyReport, Watchers, execute
from sojourn.transfer.offer import Offer
from sojourn.transfer.plan import Child, FolderCopy, TransferPlan, child_id, created_entry, manifests, plan_files
from sojourn.transfer.reader import Reader

_OFFER = "transfer.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the run is to go.

    Args:
        store: the store.
        address: its address for people.
        store_id: its own id.
        name, namespace: of the new run; the source's name where it is empty.
    """

    store: Store
    address: str
    store_id: str
    namespace: str
    name: str = ""


class Incoming:
    """One offer, and the run that it becomes here."""

    def __init__(self, offer: Offer, to: Place, *, moves: bool, env: Env) -> None:
        self.offer, self._to, self._moves, self._env = offer, to, moves, env
        self.child = self._find_child()
        self.prefix = run_prefix(self.child.name, self.child.run_id, self.child.namespace)

    @property
    def adopts(self) -> bool:
        """Whether source and target are one store, so that checkpoints stay where they are."""
        return bool(self.offer.store_id) and self.offer.store_id == self._to.store_id

    @property
    def recipient(self) -> Recipient:
        """The new run, as a fence names it."""
        return Recipient(run_id=self.child.run_id, run=self.prefix, store=self._to.address)

    @property
    def newest(self) -> str:
        """Manifest digest of the newest checkpoint that is offered; "" if there is none."""
        return self.offer.carry.commits[-1].manifest if self.offer.carry.commits else ""

    def begun(self) -> RunLog | None:
        """The run, if it exists already."""
        return find_child(self._to.store, self.child, self._env)

    def plan(self) -> TransferPlan:
        """What is missing here."""
        return self._plan(self._folders())

    def bring(self, source: Reader, watchers: Watchers = NOBODY, streams: int = 8) -> CopyReport:
        """Make everything complete and verified here; nobody sees it before `begin`.

        Raises:
            CorruptData: the source is damaged.
            StoreError: the store here failed or has no room; asked again it goes on.
            LinkFailed, PeerFailed: the source cannot be reached, or cannot give something.
        """
        store, folders = self._to.store, self._folders()
        store.put(f"{self.prefix}/{_OFFER}", self.offer.to_bytes())
        if self.adopts:
            source = store
            verify_in_place(self._parent(), self.offer.carry)
        bases = find_bases(store, self.offer, self.prefix)
        report = execute(source, store, self._plan(folders), manifests(folders), watchers, streams, bases)
        if self.adopts:
            pin_adopted(self._parent(), self.offer.carry, self.child, self._env)
        return report

    def begin(self, *, fence: str = "", manifest: str = "") -> RunLog:
        """Make the run exist; `bring` has succeeded before. Done again it opens the run.

        Args:
            fence: digest of the source's fence; "" for a copy.
            manifest: what that fence was decided on.

        Raises:
            Refused: the fence was decided on another checkpoint than the one that is here.
        """
        if self._moves and (not fence or manifest != self.newest):
            raise Refused(
                f"the fence {fence or '(none)'} was decided on the checkpoint {manifest or '(none)'}, and "
                f"{self.newest or 'none'} is what arrived",
                hint="Bring the newest checkpoint over, and fence on what was verified then.",
            )
        origin = replace(self.offer.origin, fence=fence)
        entry = created_entry(origin, self.offer.carry, self.child, adopt=self.adopts)
        log = create_run(self._to.store, entry, self._env)
        self._to.store.delete(f"{self.prefix}/{_OFFER}")
        return log

    def abandon(self) -> None:
        """Delete what was brought, unless the run has begun."""
        abandon(self._to.store, self.prefix, self._env)

    def _folders(self) -> list[FolderCopy]:
        return self.offer.folder_copies(self.prefix, adopt=self.adopts)

    def _plan(self, folders: list[FolderCopy]) -> TransferPlan:
        return plan_files(folders, self.prefix, {info.key: info.size for info in self._to.store.list(self.prefix)})

    def _parent(self) -> RunLog:
        try:
            return RunLog.open(self._to.store, self.offer.origin.prefix, env=self._env)
        except NotFound as error:
            raise CorruptData(
                f"both sides have the store {self.offer.store_id}, and {self.offer.origin.prefix} is not in it here",
                hint="Was the folder copied with its .sojourn-store.json? Then delete that file in one of them.",
            ) from error

    def _find_child(self) -> Child:
        for child in self._children():
            log = find_child(self._to.store, child, self._env)
            # One that began by an earlier fence was given up by a takeover: this is another hand-over.
            if log is None or not self._moves or self._is_heir(log):
                return child
        raise AssertionError("there is always a next one")

    def _children(self) -> Iterator[Child]:
        number = 0
        while True:
            named = Child(str(number), self._to.name or self.offer.origin.state.name, self._to.namespace)
            origin, carry = self.offer.origin, self.offer.carry
            yield replace(named, run_id=child_id(origin, carry, self._to.store_id, named, moves=self._moves))
            number += 1

    def _is_heir(self, log: RunLog) -> bool:
        parent, fence = log.state.parent, self.offer.origin.state.fence_digest
        return parent is not None and bool(fence) and parent.fence == fence


def kept_offer(store: Store, prefix: str) -> Offer | None:
    """The offer of which `bring` made the files below `prefix`, while the run has not begun."""
    try:
        return Offer.from_bytes(store.read(f"{prefix}/{_OFFER}"))
    except KeyMissing:
        return None


def abandon(store: Store, prefix: str, env: Env) -> None:
    """Delete what a transfer brought below `prefix`, unless the run has begun."""
    try:
        RunLog.open(store, prefix, env=env)
    except NotFound:
        delete_folder(store, prefix)
        if isinstance(store, PosixStore):
            store.sweep_temporary(-1, prefix=prefix)
