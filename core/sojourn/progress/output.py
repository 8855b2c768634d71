"""Chooses how events are shown."""

from __future__ import annotations

import sys
from typing import Protocol, Self, TextIO

from sojourn.errors import InvalidInput
from sojourn.events import Event

OUTPUTS = ("auto", "rich", "plain", "json")


class Renderer(Protocol):
    """Shows events between its `__enter__` and its `__exit__`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def show(self, event: Event) -> None:
        """Show one event, in the order in which they happened."""
        ...


def open_renderer(output: str, stream: TextIO | None = None) -> Renderer:
    """The renderer for `output`, one of OUTPUTS; `auto` is `rich` on a terminal and `plain` elsewhere.

    Raises:
        InvalidInput: `output` is none of them.
    """
    stream = sys.stdout if stream is None else stream
    if output == "auto":
        output = "rich" if stream.isatty() else "plain"
    if output == "rich":
        from sojourn.progress.live import LiveRenderer

        return LiveRenderer.on_stream(stream)
    if output == "plain":
        from sojourn.progress.plain import PlainRenderer

        return PlainRenderer(stream)
    if output == "json":
        from sojourn.progress.jsonlines import JsonRenderer

        return JsonRenderer(stream)
    raise InvalidInput(f"There is no output {output!r}.", hint=f"Choose one of {', '.join(OUTPUTS)}.")
