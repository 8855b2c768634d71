"""Says at once which extra brings what a verb needs, before anything is read or written."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from sojourn.errors import SojournError


def require(extra: str, packages: Sequence[str], what: str) -> None:
    """Raise SojournError where one of these import packages is not installed; `what` needs them, such as "Training"."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise SojournError(
            f"{what} needs packages that are not installed: {', '.join(missing)}.",
            hint=f"Install them with: pip install 'sojourn[{extra}]'",
        )
