"""The stages of a transfer as its status shows them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


def rfc3339(time: datetime) -> str:
    """A time as Kubernetes writes it."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Stages:
    """Stages in order, each Pending, Running, Succeeded or Failed."""

    def __init__(self, names: list[str], now: Callable[[], datetime]) -> None:
        self._now = now
        self._stages: dict[str, dict[str, Any]] = {name: {"name": name, "phase": "Pending"} for name in names}

    def to_json(self) -> list[dict[str, Any]]:
        """As status.pipeline."""
        return [dict(stage) for stage in self._stages.values()]

    def start(self, name: str) -> None:
        """Begin a stage, or begin it again."""
        stage = self._stages[name]
        if stage["phase"] != "Running":
            self._stages[name] = {"name": name, "phase": "Running", "startTime": rfc3339(self._now())}

    def count(self, name: str, done: int, total: int) -> None:
        """How many bytes of a stage are done."""
        self._stages[name]["progress"] = {"done": done, "total": total, "unit": "bytes"}

    def finish(self, name: str) -> None:
        """A stage has succeeded; nothing happens if it had before."""
        if self._stages[name]["phase"] == "Succeeded":
            return
        self.start(name)
        self._stages[name] |= {"phase": "Succeeded", "completionTime": rfc3339(self._now())}

    def fail(self, reason: str, message: str, name: str = "") -> None:
        """A stage has failed; without a name, whatever is running."""
        for stage in self._stages.values():
            if stage["phase"] == "Running" and name in ("", stage["name"]):
                stage |= {"phase": "Failed", "reason": reason, "message": message[:1024]}
                stage["completionTime"] = rfc3339(self._now())
