"""Check stored runs and checkpoints against their digests."""

from __future__ import annotations

from sojourn.checkpoint.verify import Progress, VerifyReport, verify_checkpoint, verify_run
from sojourn.client.stores import StoreLike, existing_store
from sojourn.runlog.address import Address, select
from sojourn.runlog.entries import Head
from sojourn.runlog.runs import find_run


def verify(
    run: str,
    *,
    store: StoreLike | None = None,
    expect_head: str | None = None,
    progress: Progress = lambda done, total: None,
) -> VerifyReport:
    """Read a run's whole log and every checkpoint and export that exists, or one checkpoint, and check all digests.

    Args:
        run: a run such as "digits", or one checkpoint of it such as "digits@1200".
        store: where it is.
        expect_head: an entry that the log must hold, as `history` prints it: a log whose tail was cut off is still
            a log, and only whoever knows its head can tell.
        progress: called with the bytes checked so far and in all.

    Returns:
        What was checked and what is wrong with it; damage is in `problems` and raises nothing.

    Raises:
        NotFound: there is no such run or checkpoint.
        CorruptData: the log cannot be read at all.
        StoreError: the store cannot be read.
    """
    address = Address.parse(run)
    log = find_run(existing_store(store), address.name, address.namespace)
    head = None if expect_head is None else Head.parse(expect_head)
    if "@" not in run:
        return verify_run(log, expect_head=head, progress=progress)
    if head is not None:
        log.check_head(head)
    return verify_checkpoint(log.store, log.prefix, select(log.state, address.selector), progress)
