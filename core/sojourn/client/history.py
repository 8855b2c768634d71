"""A run's history over all stores it lived in: what its log says, its ancestors', and its children's."""

from __future__ import annotations

from sojourn.client.chapter import Chapter
from sojourn.client.chapters import History
from sojourn.client.stores import StoreLike, existing_store
from sojourn.errors import SojournError
from sojourn.runlog.address import Address
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Parent, Recipient
from sojourn.runlog.runs import RunSummary, find_run, list_runs
from sojourn.store.base import Store


def runs(store: StoreLike | None = None, *, namespace: str | None = None) -> list[RunSummary]:
    """The runs of a store, oldest first; of one namespace, or of all.

    Raises:
        NotFound: there is no such store.
        StoreError: it cannot be read.
    """
    return list_runs(existing_store(store), namespace)


def history(run: str, *, store: StoreLike | None = None, last: int | None = 50) -> History:
    """The history of a run, through every hand-over to where it came from and where it went.

    Args:
        run: its name, such as "digits".
        store: where to look for it. Ancestors and children are looked for where the logs say they are.
        last: how many of the newest entries of each log to read; None reads all.

    Raises:
        NotFound: there is no such run.
        CorruptData: its log is damaged. A damaged or unreachable log of another chapter is a `problem` of it.
    """
    address = Address.parse(run)
    log = find_run(existing_store(store), address.name, address.namespace)
    chapter = _chapter(log, last)
    before, after = _ancestors(log, last), _descendants(log, last)
    return History((*before, chapter, *after), len(before))


def _chapter(log: RunLog, last: int | None) -> Chapter:
    start = 0 if last is None else max(0, log.head.index + 1 - last)
    entries = tuple(log.entries(start))
    return Chapter(log.store.uri, log.prefix, log.state.run_id, log.state, entries, start)


def _ancestors(log: RunLog, last: int | None) -> tuple[Chapter, ...]:
    """The chapters before a run, oldest first."""
    found: list[Chapter] = []
    seen = {log.state.run_id}
    parent, known = log.state.parent, log.store
    while parent is not None and parent.run_id not in seen:
        seen.add(parent.run_id)
        chapter, opened = _open(parent, known, last)
        found.insert(0, chapter)
        parent, known = (opened.state.parent, opened.store) if opened else (None, known)
    return tuple(found)


def _descendants(log: RunLog, last: int | None) -> tuple[Chapter, ...]:
    """The chapters after a run, in order."""
    found: list[Chapter] = []
    seen = {log.state.run_id}
    recipient, known = log.state.fenced_to, log.store
    while recipient is not None and recipient.run_id not in seen:
        seen.add(recipient.run_id)
        chapter, opened = _open(recipient, known, last)
        found.append(chapter)
        recipient, known = (opened.state.fenced_to, opened.store) if opened else (None, known)
    return tuple(found)


def _open(link: Parent | Recipient, known: Store, last: int | None) -> tuple[Chapter, RunLog | None]:
    """The chapter at the other end of a link. One that cannot be read from here is still named."""
    place = link.store or known.uri
    try:
        store = known if place == known.uri else existing_store(place)
        log = RunLog.open(store, link.run)
        return _chapter(log, last), log
    except SojournError as error:
        return Chapter(place, link.run, link.run_id, problem=error.message), None
