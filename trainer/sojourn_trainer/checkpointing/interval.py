"""How often to save where the manifest says `every.auto`: pure planning from what saves were measured to cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal["FirstSave", "Overhead", "FailureRate", "WriteTime", "Shortest"]

FIRST_SECONDS = 10.0
"""A first save is due so long after the first step: early, and late enough to know what a step takes."""
SHORTEST_SECONDS = 10.0
"""Without a failure rate nothing says that more is gained by saving more often than this."""
REMEMBERED = 5
"""So many of the newest saves count: one that a busy machine disturbed must not decide."""
_LEAST_SECONDS = 1.0
_NEWS = 0.2


@dataclass(frozen=True, slots=True)
class SaveCost:
    """What one save was measured to cost, in seconds.

    Attributes:
        blocked: training stood still for it.
        excess: by which the steps took longer that ran beside it, and at least the next five.
        write: from the boundary to the commit.
    """

    blocked: float
    excess: float
    write: float

    @property
    def training(self) -> float:
        """Seconds of training that it took away."""
        return self.blocked + self.excess


@dataclass(frozen=True, slots=True)
class Choice:
    """An interval and why it is that.

    Attributes:
        seconds: from the beginning of a save to that of the next.
        reason: FirstSave: nothing is measured yet. Overhead: the shortest that the bound allows. FailureRate: by
            Young and Daly. WriteTime: the one before must be committed first. Shortest: saves cost next to nothing.
        cost: seconds of training that a save takes away, 0 where that is not known.
        write: seconds from its boundary to its commit, 0 where that is not known.
        failures: mean seconds between failures, or None where they are not known.
    """

    seconds: float
    reason: Reason
    cost: float = 0.0
    write: float = 0.0
    failures: float | None = None

    def is_news_after(self, before: Choice | None) -> bool:
        """Whether it is worth telling to somebody who knows `before`."""
        if before is None or self.reason != before.reason:
            return True
        return abs(self.seconds - before.seconds) > _NEWS * before.seconds


def choose(costs: Sequence[SaveCost], overhead: float, failures: float | None) -> Choice:
    """The interval between two saves.

    Args:
        costs: of the saves so far, in order; the median of the newest counts.
        overhead: bound on the share of time that saving may add to training, such as 0.035.
        failures: mean seconds between failures, or None where they are not known.

    Training goes on while a checkpoint is written, so what Young and Daly call the cost of a checkpoint is only what
    training loses by it. The bound holds whatever they say, and a save never waits for the one before.
    """
    if not costs:
        return Choice(FIRST_SECONDS, "FirstSave", failures=failures)
    newest = costs[-REMEMBERED:]
    cost = statistics.median(save.training for save in newest)
    write = statistics.median(save.write for save in newest)
    least: list[tuple[float, Reason]] = [(cost * (1.0 + 1.0 / overhead), "Overhead"), (write, "WriteTime")]
    if failures is None:
        least.append((SHORTEST_SECONDS, "Shortest"))
    else:
        least.append((max(optimum(cost, failures) + cost, _LEAST_SECONDS), "FailureRate"))
    seconds, reason = max(least, key=lambda bound: bound[0])
    return Choice(seconds, reason, cost, write, failures)


def optimum(cost: float, failures: float) -> float:
    """Seconds of training between two checkpoints after which the expected time to the end is the least.

    Args:
        cost: seconds that a checkpoint takes away from training.
        failures: mean seconds between failures.

    J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future Generation
    Computer Systems 22 (2006) 303-312. Its first term is the square root of 2 * cost * failures of
    J. W. Young, "A first order approximation to the optimum checkpoint interval", Communications of the ACM 17 (1974)
    530-531.
    """
    if cost >= 2.0 * failures:
        return failures
    ratio = cost / (2.0 * failures)
    young = math.sqrt(2.0 * cost * failures)
    return young * (1.0 + math.sqrt(ratio) / 3.0 + ratio / 9.0) - cost
