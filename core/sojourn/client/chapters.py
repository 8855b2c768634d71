"""What a history is made of, and how it reads."""

from __future__ import annotations

from dataclasses import dataclass

from sojourn.client.chapter import Chapter
from sojourn.client.describe import chapter_html, chapter_text


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
        return "\n\n".join(chapter_text(chapter) for chapter in self.chapters)

    def _repr_html_(self) -> str:
        return "<br>".join(chapter_html(chapter) for chapter in self.chapters)
