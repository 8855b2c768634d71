"""The one call: from a run's address to the page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sojourn.client.history import history
from sojourn.client.stores import StoreLike
from sojourn.report.collect import collect
from sojourn.report.page import render


def _now() -> datetime:
    return datetime.now(UTC)


def write_report(
    run: str, path: str | Path, *, store: StoreLike | None = None, now: Callable[[], datetime] = _now
) -> Path:
    """Write a run's history, over all stores it lived in, as one HTML page that needs no network.

    Args:
        run: the run's name.
        path: the file to write.
        store: where the run is.
        now: the time that the page says it was written at.

    Raises:
        NotFound: there is no such run.
        SojournError: matplotlib, which draws the plots, is not installed.
    """
    page = render(collect(history(run, store=store, last=None)), now())
    target = Path(path)
    target.write_text(page, encoding="utf-8")
    return target
