"""The local folder for fetched exports and unpacked code; only here does serving read the environment for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """XDG_CACHE_HOME/sojourn, else ~/.cache/sojourn, else a folder for temporary files."""
    home = environment.get("HOME")
    return Path(environment.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else tempfile.gettempdir())) / "sojourn"
