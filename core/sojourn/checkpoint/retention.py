"""Which checkpoints of a run may go (pure)."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from sojourn.errors import InvalidInput
from sojourn.runlog.records import Commit


@dataclass(frozen=True, slots=True)
class BestPolicy:
    """Keep the `count` checkpoints where `metric` is largest ("Max") or smallest ("Min")."""

    metric: str
    mode: Literal["Max", "Min"]
    count: int = 1


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What is kept whatever else happens: the `keep_last` newest checkpoints, and the best ones."""

    keep_last: int = 3
    keep_best: BestPolicy | None = None

    def __post_init__(self) -> None:
        if self.keep_last < 1:
            raise InvalidInput(f"keepLast is {self.keep_last}, and the newest checkpoint is always kept")


def expired(commits: Sequence[Commit], policy: RetentionPolicy, held: Collection[str] = ()) -> tuple[str, ...]:
    """Keys of the checkpoints to retire, oldest first.

    Args:
        commits: those that exist, in the order of the log.
        held: keys that somebody needs: pinned ones, the one an attempt restores from, one that is exported.
    """
    kept = {commit.checkpoint for commit in commits[-policy.keep_last :]}
    if policy.keep_best:
        kept.update(commit.checkpoint for commit in best(commits, policy.keep_best))
    return tuple(
        commit.checkpoint for commit in commits if commit.checkpoint not in kept and commit.checkpoint not in held
    )


def best(commits: Sequence[Commit], policy: BestPolicy) -> list[Commit]:
    """The best commits, best first; of equal ones the newer. One without the metric, or with NaN, is never best."""
    sign = -1.0 if policy.mode == "Max" else 1.0
    rated = [
        (sign * commit.metrics[policy.metric], -number, commit)
        for number, commit in enumerate(commits)
        if not math.isnan(commit.metrics.get(policy.metric, math.nan))
    ]
    return [commit for _, _, commit in sorted(rated, key=lambda item: item[:2])[: policy.count]]
