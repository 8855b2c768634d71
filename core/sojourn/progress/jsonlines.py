"""The events as they are, for programs."""

from __future__ import annotations

from typing import TextIO

from sojourn.events import Event, encode


class JsonRenderer:
    """Writes one JSON object per line to `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> JsonRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, event: Event) -> None:
        """Write the event."""
        self._stream.write(encode(event) + "\n")
        self._stream.flush()
