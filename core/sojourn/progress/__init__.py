"""Shows a stream of events to a person or a program: a live view, plain lines, or JSON lines."""

from sojourn.progress.output import OUTPUTS, Renderer, open_renderer
from sojourn.progress.view import RunView, advance

__all__ = ["OUTPUTS", "Renderer", "RunView", "advance", "open_renderer"]
