"""Checkpoints that somebody asked for by a token, until a commit answers them: pure bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class CheckpointRequests:
    """Open requests: token, and monotonic seconds at which it was asked."""

    _open: dict[str, float] = field(default_factory=dict)

    def add(self, token: str, now: float) -> None:
        """Asking again with the same token changes nothing."""
        self._open.setdefault(token, now)

    def answered_by(self, boundary: float) -> tuple[str, ...]:
        """Take out the requests that a checkpoint answers whose state is that of this moment (monotonic seconds)."""
        found = tuple(token for token, asked in self._open.items() if asked <= boundary)
        for token in found:
            del self._open[token]
        return found

    def __bool__(self) -> bool:
        return bool(self._open)
