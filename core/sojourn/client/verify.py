"""Check stored runs and checkpoints against their digests, and against signatures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.checkpoint.files import FileSet
from sojourn.checkpoint.verify import (
    Also,
    Problem,
    Progress,
    VerifyReport,
    verify_checkpoint,
    verify_export,
    verify_run,
)
from sojourn.client.sign import choose_export, local_folder
from sojourn.client.stores import StoreLike, existing_store
from sojourn.errors import InvalidInput
from sojourn.runlog.address import Address, select
from sojourn.runlog.entries import Head
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, ExportInfo
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

if TYPE_CHECKING:
    from sojourn.signing.keys import Trust


def verify(
    run: str,
    *,
    store: StoreLike | None = None,
    expect_head: str | None = None,
    trust: Trust | None = None,
    export: int | None = None,
    now: datetime | None = None,
    progress: Progress = lambda done, total: None,
) -> VerifyReport:
    """Read a run's whole log and every checkpoint and export that exists, or one of them, and check all digests.

    Args:
        run: a run such as "digits", one checkpoint of it such as "digits@1200", or a signed folder of files.
        store: where the run is; where it is given, `run` is no folder.
        expect_head: an entry that the log must hold, as `history` prints it: a log whose tail was cut off is still
            a log, and only whoever knows its head can tell.
        trust: whose signature everything that is checked must have, as `sojourn.trust` loads it.
        export: the version of one export to check instead; 0 is the newest.
        now: when certificates must be valid; by default the present.
        progress: called with the bytes checked so far and in all.

    Returns:
        What was checked and what is wrong with it; damage is in `problems` and raises nothing.

    Raises:
        NotFound: there is no such run, checkpoint or export.
        CorruptData: the log cannot be read at all.
        StoreError: the store cannot be read.
    """
    now = now or datetime.now(UTC)
    folder = local_folder(run, store)
    if folder is not None:
        return _verify_folder(folder, trust, now, progress)
    address = Address.parse(run)
    log = find_run(existing_store(store), address.name, address.namespace)
    head = None if expect_head is None else Head.parse(expect_head)
    signers: list[str] = []
    also = _signed(log, trust, now, signers)
    if "@" not in run and export is None:
        report = verify_run(log, expect_head=head, progress=progress, also=also)
    else:
        if head is not None:
            log.check_head(head)
        if export is not None:
            report = verify_export(log.store, log.prefix, choose_export(log.state, export), progress, also)
        else:
            report = verify_checkpoint(log.store, log.prefix, select(log.state, address.selector), progress, also)
    return replace(report, signers=tuple(dict.fromkeys(signers)))


def _signed(log: RunLog, trust: Trust | None, now: datetime, signers: list[str]) -> Also:
    def nothing(files: FileSet, info: CommitInfo | ExportInfo) -> None:
        pass

    if trust is None:
        return nothing
    from sojourn.signing.check import check_stored

    def check(files: FileSet, info: CommitInfo | ExportInfo) -> None:
        signers.append(check_stored(log.store, files, info, trust, now))

    return check


def _verify_folder(folder: Path, trust: Trust | None, now: datetime, progress: Progress) -> VerifyReport:
    if trust is None:
        raise InvalidInput(
            f"{folder} is a folder, and only its signature can say what should be in it",
            hint="Name whom to trust with --key or --certificate-chain; for a run of that name, add --store.",
        )
    from sojourn.signing.check import check_folder
    from sojourn.signing.errors import BadSignature, Unsigned

    try:
        found = check_folder(PosixStore(folder), "", trust, now, progress)
    except (BadSignature, Unsigned) as error:
        return VerifyReport(0, 0, 0, 0, 0, 0, (Problem(str(folder), str(error)),))
    problems = tuple(Problem(str(folder), message) for message in found.problems)
    return VerifyReport(0, 0, 0, found.files, found.files, found.bytes, problems, (found.signer,))
