"""What a history is made of, and how it reads."""

from __future__ import annotations

from dataclasses import dataclass

from sojourn.runlog.entries import Entry
from sojourn.runlog.state import RunState


@dataclass(frozen=True, slots=True)
class Chapter:
    """One run of a history.

    Args:
        store: address of its store.
        prefix: its folder in the store.
        run_id: its id.
        state: what its log amounts to; None where the log cannot be read from here.
        entries: its newest entries, oldest first.
        omitted: how many older entries are left out.
        problem: why its log cannot be read, or "".
    """

    store: str
    prefix: str
    run_id: str
    state: RunState | None = None
    entries: tuple[Entry, ...] = ()
    omitted: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Chapters from the first ancestor to the last descendant; `asked` is the index of the run that was asked for."""

    chapters: tuple[Chapter, ...]
    asked: int

    @property
    def chapter(self) -> Chapter:
        """The run that was asked for."""
        return self.chapters[self.asked]

    def __str__(self) -> str:
        from sojourn.client.describe import chapter_text

        return "\n\n".join(chapter_text(chapter) for chapter in self.chapters)

    def _repr_html_(self) -> str:
        from sojourn.client.describe import chapter_html

        return "<br>".join(chapter_html(chapter) for chapter in self.chapters)
