"""Counts failures that no commit came between: pure bookkeeping for `backoffLimit`."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row without a new commit.

    Attributes:
        limit: how many are borne.
        failures: how many there were since the last commit.
    """

    limit: int
    failures: int = 0

    def after_failure(self) -> Backoff:
        return replace(self, failures=self.failures + 1)

    def after_commit(self) -> Backoff:
        return replace(self, failures=0)

    @property
    def exhausted(self) -> bool:
        return self.failures > self.limit
