"""One readable line per transition, for logs and pipes; progress only every few seconds of the run's own time."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TextIO

from sojourn import events
from sojourn.progress.sentences import progress_sentence, sentence

PROGRESS_SECONDS = 5.0


class PlainRenderer:
    """Writes to `stream`; times of day are in `zone`, by default this machine's."""

    def __init__(self, stream: TextIO, *, zone: tzinfo | None = None, every: float = PROGRESS_SECONDS) -> None:
        self._stream = stream
        self._zone = zone
        self._every = every
        self._last_progress = float("-inf")
        self._started: events.Started | None = None

    def __enter__(self) -> PlainRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, event: events.Event) -> None:
        """Write the event's line, unless it is progress and the last one was just now."""
        if isinstance(event, events.Started):
            self._started = event
        if isinstance(event, events.Retired):
            return  # as frequent as commits, and of interest to programs only
        if not isinstance(event, events.Progress):
            tone, text = sentence(event)
            prefix = f"{tone.upper()}: " if tone in ("warning", "error") else ""
            self._write(event.time, prefix + text)
        elif event.time - self._last_progress >= self._every:
            self._last_progress = event.time
            self._write(event.time, progress_sentence(event, self._started))

    def _write(self, time: float, text: str) -> None:
        clock = datetime.fromtimestamp(time, UTC).astimezone(self._zone)
        first, *more = text.splitlines() or [""]
        lines = [f"{clock:%H:%M:%S}  {first}", *(f"{'':10}{line}" for line in more)]
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()
