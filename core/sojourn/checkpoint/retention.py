"""Which checkpoints of a run may go (pure)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

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
    """What is kept whatever else happens.

    Attributes:
        keep_last: so many of the newest checkpoints.
        keep_best: the best ones by a metric.
        keep_every: for good, the first one of every so many seconds of training; None keeps none for this.
    """

    keep_last: int = 3
    keep_best: BestPolicy | None = None
    keep_every: float | None = None

    def __post_init__(self) -> None:
        if self.keep_last < 1:
            raise InvalidInput(f"keepLast is {self.keep_last}, and the newest checkpoint is always kept")
        if self.keep_every is not None and self.keep_every <= 0:
            raise InvalidInput("keepEveryHours must be more than 0")

    def to_json(self) -> dict[str, Any]:
        """Plain data, as an attempt's entry in the log has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RetentionPolicy:
        """What `to_json` returned. Raises KeyError, TypeError or InvalidInput where `data` is something else."""
        best = data["keep_best"]
        return cls(data["keep_last"], BestPolicy(**best) if best is not None else None, data["keep_every"])


def expired(commits: Sequence[Commit], policy: RetentionPolicy, held: Collection[str] = ()) -> tuple[str, ...]:
    """Keys of the checkpoints to retire, oldest first.

    Args:
        commits: those that exist, in the order of the log.
        held: keys that somebody needs: pinned ones, the one an attempt restores from, one that is exported.
    """
    needed = kept(commits, policy).keys() | set(held)
    return tuple(commit.checkpoint for commit in commits if commit.checkpoint not in needed)


def kept(commits: Sequence[Commit], policy: RetentionPolicy) -> dict[str, tuple[str, ...]]:
    """Keys of the checkpoints that `policy` keeps, each with the reasons in words, such as "best val_loss"."""
    reasons: dict[str, list[str]] = {}

    def keep(commit: Commit, reason: str) -> None:
        reasons.setdefault(commit.checkpoint, []).append(reason)

    for commit in commits[-policy.keep_last :]:
        keep(commit, f"one of the newest {policy.keep_last}" if policy.keep_last > 1 else "the newest")
    if policy.keep_best:
        for commit in best(commits, policy.keep_best):
            keep(commit, f"best {policy.keep_best.metric}")
    if policy.keep_every is not None:
        for commit in firsts(commits, policy.keep_every):
            keep(commit, f"first after {commit.wall_seconds // policy.keep_every * policy.keep_every / 3600:g} h")
    return {key: tuple(found) for key, found in reasons.items()}


def firsts(commits: Sequence[Commit], seconds: float) -> list[Commit]:
    """The first commit of each period of so many seconds of training; the period that a run begins with has none.

    Time trained is what counts: a run that waited for a cluster, or a clock that jumps, changes nothing.
    """
    found: dict[int, Commit] = {}
    for commit in commits:
        period = int(commit.wall_seconds // seconds)
        if period > 0:
            found.setdefault(period, commit)
    return list(found.values())


def best(commits: Sequence[Commit], policy: BestPolicy) -> list[Commit]:
    """The best commits, best first; of equal ones the newer. One without the metric, or with NaN, is never best."""
    sign = -1.0 if policy.mode == "Max" else 1.0
    rated = [
        (sign * commit.metrics[policy.metric], -number, commit)
        for number, commit in enumerate(commits)
        if not math.isnan(commit.metrics.get(policy.metric, math.nan))
    ]
    return [commit for _, _, commit in sorted(rated, key=lambda item: item[:2])[: policy.count]]
