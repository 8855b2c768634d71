"""What the client takes from the environment; no other module of it reads there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_STORE = "sojourn-runs"


@dataclass(frozen=True, slots=True)
class Settings:
    """`store` is used where none is named; `state` is the folder for the logs of local runs."""

    store: str
    state: Path
    environment: Mapping[str, str]

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """From SOJOURN_STORE and XDG_STATE_HOME of `environment`, by default of this process."""
        values = dict(os.environ if environment is None else environment)
        state = values.get("XDG_STATE_HOME") or str(Path(values.get("HOME") or Path.home()) / ".local" / "state")
        return cls(
            store=values.get("SOJOURN_STORE") or DEFAULT_STORE, state=Path(state) / "sojourn", environment=values
        )
