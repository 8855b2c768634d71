"""The trainer's environment variables, read in this one place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainerSettings:
    """What the environment says.

    Attributes:
        cache: folder for unpacked code (XDG_CACHE_HOME/sojourn).
        scratch: folder for what need not last (TMPDIR/sojourn).
        dashboard: whether a local Ray starts its dashboard (SOJOURN_DASHBOARD, default yes).
    """

    cache: Path
    scratch: Path
    dashboard: bool


def read_settings(environment: Mapping[str, str] = os.environ) -> TrainerSettings:
    """Settings from environment variables."""
    home = environment.get("HOME")
    cache = environment.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else tempfile.gettempdir())
    return TrainerSettings(
        cache=Path(cache) / "sojourn",
        scratch=Path(tempfile.gettempdir()) / "sojourn",
        dashboard=environment.get("SOJOURN_DASHBOARD", "1") not in ("0", "false", "no"),
    )
