"""Bring runs to other stores: as an independent copy, or for good."""

from __future__ import annotations

from collections.abc import Callable

from sojourn.client.stores import StoreLike, existing_store, open_store
from sojourn.runlog.address import Address
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import find_run
from sojourn.store.probe import probe_exclusive_create
from sojourn.transfer.copy import Destination, TransferResult, copy_run
from sojourn.transfer.fetch import OnProgress, TransferProgress
from sojourn.transfer.move import move_run

Progress = Callable[[int, int], None]
"""Called with the bytes dealt with so far, and the bytes in all."""


def _silent(done: int, total: int) -> None:
    pass


def copy(
    run: str,
    to: StoreLike,
    *,
    store: StoreLike | None = None,
    name: str = "",
    needed: bool = False,
    progress: Progress = _silent,
) -> TransferResult:
    """Copy a run with its checkpoints and exports; the source goes on, and so may the copy, as a run of its own.

    Only what is missing is copied, and everything is verified. An interrupted copy goes on when asked for again.

    Args:
        run: the run's name.
        to: the store that gets the copy.
        store: the store that has the run.
        name: another name for the copy; needed where both are in one store.
        needed: bring only the newest and the best checkpoint.
        progress: called while bytes are copied.

    Raises:
        NotFound: there is no such run.
        NoExclusiveCreate: the target cannot hold runs.
        CorruptData: the source is damaged; nothing became visible in the target.
        StoreError: a store failed, or the target has no room.
    """
    source, target = _find(run, store), open_store(to)
    probe_exclusive_create(target)
    return copy_run(
        source, Destination(target, name), choice="Needed" if needed else "All", on_progress=_bytes(progress)
    )


def move(
    run: str, to: StoreLike, *, store: StoreLike | None = None, name: str = "", progress: Progress = _silent
) -> TransferResult:
    """Hand a run over to another store: copy, verify, fence the source, begin the child run there.

    Stop the run's training first. After the hand-over the run goes on in the other store only: running its job here
    is refused and says where it went. An interrupted move goes on when asked for again.

    Args:
        run: the run's name.
        to: the store where it is to go on.
        store: the store that has it.
        name: another name for it there.
        progress: called while bytes are copied.

    Raises:
        NotFound: there is no such run.
        Refused: the run was handed over to somebody else, or goes on training.
        NoExclusiveCreate: the target cannot hold runs.
        CorruptData: the source is damaged; it was not fenced.
        StoreError: a store failed, or the target has no room.
    """
    source, target = _find(run, store), open_store(to)
    probe_exclusive_create(target)
    return move_run(source, Destination(target, name), on_progress=_bytes(progress))


def _find(run: str, store: StoreLike | None) -> RunLog:
    address = Address.parse(run)
    return find_run(existing_store(store), address.name, address.namespace)


def _bytes(progress: Progress) -> OnProgress:
    def show(event: TransferProgress) -> None:
        progress(event.done, event.total)

    return show
